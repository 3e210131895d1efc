/** To the nearest whole number, halves to the even one: as IEEE 754, and so ONNX, rounds. */
export function roundHalfEven(x: number): number {
  const nearest = Math.round(x);
  return nearest - x === 0.5 && nearest % 2 !== 0 ? nearest - 1 : nearest;
}
