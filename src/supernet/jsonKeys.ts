/** What `JSON.parse` does not tell: that an object has a key twice (it keeps the last one). */

/** First key that occurs twice in one object of `text`, at any depth; `text` must be valid JSON. */
export function duplicateKey(text: string): string | undefined {
  // Keys seen per open container; undefined for arrays.
  const open: (Set<string> | undefined)[] = [];
  let expectKey = false;
  const token = /"(?:[^"\\]|\\.)*"|[{}[\],]/gs;
  for (const [found] of text.matchAll(token)) {
    if (found === '{' || found === '[') open.push(found === '{' ? new Set() : undefined);
    else if (found === '}' || found === ']') open.pop();
    if (found.length === 1) {
      expectKey = found === '{' || (found === ',' && open[open.length - 1] !== undefined);
      continue;
    }
    if (!expectKey) continue;
    expectKey = false;
    const key = JSON.parse(found) as string;
    const seen = open[open.length - 1]!;
    if (seen.has(key)) return key;
    seen.add(key);
  }
  return undefined;
}
