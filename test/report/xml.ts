/** A strict reader of element structure: throws where tags do not nest, an attribute is unquoted or a character is bare. */
import { expect } from 'vitest';

const TAG = /^<(\/?)([A-Za-z][\w:-]*)((?:\s+[\w:-]+="[^"<]*")*)\s*(\/?)>/;

/** Names of the elements of a well-formed XML fragment in document order. */
export function elementNames(xml: string): string[] {
  const names: string[] = [];
  const open: string[] = [];
  let rest = xml;
  while (rest.length > 0) {
    const text = /^[^<]*/.exec(rest)![0];
    expect(text).not.toMatch(/&(?!(amp|lt|gt|quot|#39|#\d+);)/);
    rest = rest.slice(text.length);
    if (rest === '') break;
    const tag = TAG.exec(rest);
    if (tag === null) throw new Error(`Not a tag: ${rest.slice(0, 80)}`);
    const [whole, closing, name, attributes, selfClosing] = tag as unknown as [
      string,
      string,
      string,
      string,
      string,
    ];
    expect(attributes).not.toMatch(/&(?!(amp|lt|gt|quot|#39|#\d+);)/);
    if (closing === '/') expect(open.pop()).toBe(name);
    else {
      names.push(name);
      if (selfClosing !== '/') open.push(name);
    }
    rest = rest.slice(whole.length);
  }
  expect(open).toEqual([]);
  return names;
}
