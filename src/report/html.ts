/** HTML that is safe by construction: everything put into a template is escaped unless it is `Html` itself. */

/** Text that is markup already. */
export class Html {
  constructor(readonly text: string) {}
}

type Content = Html | string | number | false | undefined | readonly Content[];

/** Controls (tab and line ends aside), surrogates without a partner, noncharacters: not allowed in XML. */
const FORBIDDEN = /[^\P{Cc}\t\n\r]|\p{Cs}|[\ufffe\uffff]/gu;

const ENTITIES: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** Characters that no document may hold become U+FFFD. */
export function cleanText(text: string): string {
  return text.replace(FORBIDDEN, '\ufffd');
}

/** For text and for quoted attributes, in HTML and in XML. */
export function escapeHtml(text: string): string {
  return cleanText(text).replace(/[&<>"']/g, (character) => ENTITIES[character]!);
}

function toText(content: Content): string {
  if (content instanceof Html) return content.text;
  if (content === false || content === undefined) return '';
  if (typeof content === 'string') return escapeHtml(content);
  if (typeof content === 'number') return String(content);
  return content.map(toText).join('');
}

/** Template tag: `html\`<p title="${text}">${list}</p>\``; `false` and `undefined` leave nothing. */
export function html(strings: TemplateStringsArray, ...contents: readonly Content[]): Html {
  return new Html(strings.reduce((text, part, i) => text + toText(contents[i - 1]) + part));
}

/**
 * A relative link, whatever the path holds: each part is percent-encoded, so that no scheme or quote survives. Undefined
 * for an absolute path, which would lead nowhere on another machine.
 */
export function relativeLink(path: string): string | undefined {
  const parts = cleanText(path).split(/[/\\]+/);
  if (parts[0] === '' || /^[a-z]:$/i.test(parts[0]!)) return undefined;
  const encoded = parts.map((part) => encodeURIComponent(part)).join('/');
  return encoded.startsWith('.') ? encoded : `./${encoded}`;
}

export interface Column<Row> {
  readonly head: string;
  /** Numbers stand to the right. */
  readonly numeric?: boolean;
  readonly cell: (row: Row) => Html | string;
}

/** The first column heads its row. */
export function table<Row>(caption: string, columns: readonly Column<Row>[], rows: readonly Row[]): Html {
  const numeric = (column: Column<Row>): Html =>
    column.numeric === true ? html` class="number"` : new Html('');
  return html`<div class="scroll" role="region" aria-label="${caption}" tabindex="0">
    <table>
      <caption>
        ${caption}
      </caption>
      <thead>
        <tr>
          ${columns.map((column) => html`<th scope="col" ${numeric(column)}>${column.head}</th>`)}
        </tr>
      </thead>
      <tbody>
        ${rows.map(
          (row) =>
            html`<tr>
              ${columns.map((column, i) =>
                i === 0
                  ? html`<th scope="row" ${numeric(column)}>${column.cell(row)}</th>`
                  : html`<td ${numeric(column)}>${column.cell(row)}</td>`,
              )}
            </tr>`,
        )}
      </tbody>
    </table>
  </div>`;
}

/** A picture with its caption, and the numbers behind it folded away. */
export function figure(picture: Html, caption: Html | string, numbers?: Html): Html {
  return html`<figure>
    ${picture}
    <figcaption>${caption}</figcaption>
    ${
      numbers &&
      html`<details>
        <summary>The numbers</summary>
        ${numbers}
      </details>`
    }
  </figure>`;
}
