/** Text from files, agents and names on its way to a terminal, which takes some characters for orders. */

/** Controls (C0, DEL, C1), separators of lines and paragraphs, and what turns the direction of writing around. */
const ORDERS = /[\p{Cc}\p{Zl}\p{Zp}\u061C\u200E\u200F\u202A-\u202E\u2066-\u2069]/gu;
const KEPT = new Set(['\t', '\n']);

const escaped = (character: string): string => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;

/**
 * The text with `\u001b` and the like instead of characters that a terminal would obey; tabs and ends of lines stay. In
 * JSON it means the same as before: such characters are in its strings only.
 */
export const printable = (text: string): string =>
  text.replace(ORDERS, (character) => (KEPT.has(character) ? character : escaped(character)));

/** As `printable`, in one line: for names and messages that must not look like several. */
export const printableLine = (text: string): string => printable(text).replaceAll('\n', '\\n');
