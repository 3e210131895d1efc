/** The subnets of the peer's script: the largest, the smallest, and eight of its fixed table. */
import type { Architecture } from '../../../src/space/architecture.js';

export function peerSubnets(
  imageSize: number,
): { readonly name: string; readonly architecture: Architecture }[] {
  const all = (k: number, e: number, d: number): Architecture => ({
    imageSize,
    ks: Array<number>(20).fill(k),
    e: Array<number>(20).fill(e),
    d: Array<number>(5).fill(d),
  });
  let state = 12345n;
  const draw = (choices: readonly number[]): number => {
    state = (state * 1103515245n + 12345n) & 0x7fffffffn;
    return choices[Number((state >> 16n) % BigInt(choices.length))]!;
  };
  const list = (n: number, choices: readonly number[]): number[] =>
    Array.from({ length: n }, () => draw(choices));
  const random = Array.from({ length: 8 }, (_, i) => {
    const ks = list(20, [3, 5, 7]);
    const e = list(20, [3, 4, 6]);
    return { name: `random${i}`, architecture: { imageSize, ks, e, d: list(5, [2, 3, 4]) } };
  });
  return [
    { name: 'largest', architecture: all(7, 6, 4) },
    { name: 'smallest', architecture: all(3, 3, 2) },
    ...random,
  ];
}
