/** Encoded architectures on a scale that learning takes well. */

export interface InputScaling {
  /** One a place of the encoding: a value x becomes (x - offset) * factor. */
  readonly offset: Float32Array;
  readonly factor: Float32Array;
}

/**
 * Places whose values stay in [0, 1], as those of one-hot and ordinal encodings do, are taken as they are; others get mean
 * 0 and deviation 1 over the rows, or become 0 where they never change. `rows`: row-major [n, width].
 */
export function fitInputs(rows: Float32Array, width: number): InputScaling {
  const count = rows.length / width;
  const offset = new Float32Array(width);
  const factor = new Float32Array(width).fill(1);
  for (let place = 0; place < width; place++) {
    const column = Array.from({ length: count }, (_, row) => rows[row * width + place]!);
    if (column.every((value) => value >= 0 && value <= 1)) continue;
    const mean = column.reduce((sum, value) => sum + value, 0) / count;
    const deviation = Math.sqrt(column.reduce((sum, value) => sum + (value - mean) ** 2, 0) / count);
    offset[place] = mean;
    factor[place] = deviation > 1e-6 * Math.abs(mean) ? 1 / deviation : 0;
  }
  return { offset, factor };
}

/** In place; returns `rows`. */
export function scaleInputs(rows: Float32Array, { offset, factor }: InputScaling): Float32Array {
  const width = offset.length;
  // One-hot places stay as they are, and a search predicts thousands of such rows.
  const places = [...factor.keys()].filter((place) => offset[place] !== 0 || factor[place] !== 1);
  for (const place of places) {
    const [from, by] = [offset[place]!, factor[place]!];
    for (let i = place; i < rows.length; i += width) rows[i] = (rows[i]! - from) * by;
  }
  return rows;
}
