/** The look of the report: system fonts, light and dark, and paper. */
export const style = `
:root { color-scheme: light dark;
  --paper:#ffffff; --ink:#1d2330; --muted:#5d6675; --rule:#dfe3ea; --panel:#f5f7fa; --cloud:#8a97ab;
  --blue:#1f6fb4; --orange:#c8500a; --green:#1b7f5c; --purple:#7a4fb5; --brown:#8a6212; --bad:#b3261e;
  --k3:#cfe0f2; --k5:#5b93c9; --k7:#1d4f86; }
@media (prefers-color-scheme: dark) { :root {
  --paper:#14171d; --ink:#e6e9ef; --muted:#a2abba; --rule:#323946; --panel:#1c2129; --cloud:#7d8aa0;
  --blue:#6cb2f2; --orange:#ff9a5c; --green:#5cc9a1; --purple:#bb9af0; --brown:#d8b062; --bad:#ff8a80;
  --k3:#c3d9f0; --k5:#4f86bd; --k7:#2b5f99; } }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0; background: var(--paper); color: var(--ink); line-height: 1.55;
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
main, header, footer { max-width: 940px; margin: 0 auto; padding: 0 24px; overflow-wrap: anywhere; }
header { padding-top: 48px; }
.kicker { color: var(--muted); margin: 0; font-size: .95rem; }
h1 { font-size: clamp(1.6rem, 4vw, 2.25rem); line-height: 1.2; margin: .25em 0 .5em; letter-spacing: -.015em; text-wrap: balance; }
h2 { font-size: 1.35rem; line-height: 1.3; margin: 2.6em 0 .5em; padding-top: .8em; border-top: 1px solid var(--rule); }
h3 { font-size: 1.05rem; margin: 1.8em 0 .3em; }
p, li { max-width: 70ch; }
a { color: var(--blue); }
code { font: .88em ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; background: var(--panel); padding: .1em .3em; border-radius: 3px; }
dl.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(220px, 1fr)); gap: 12px; margin: 1.5em 0; }
dl.facts div { background: var(--panel); border-radius: 8px; padding: 12px 14px; }
dl.facts dt { color: var(--muted); font-size: .85rem; }
dl.facts dd { margin: 0; font-size: 1.2rem; font-weight: 600; font-variant-numeric: tabular-nums; line-height: 1.35; }
dl.facts small { display: block; font-size: .8rem; font-weight: 400; color: var(--muted); }
figure { margin: 1.2em 0 1.8em; }
figure svg { display: block; width: 100%; height: auto; }
.narrow { display: none; }
@media screen and (max-width: 560px) { .wide { display: none; } .narrow { display: block; } }
figure > svg.strip { max-width: 860px; }
@media screen and (max-width: 560px) { figure:has(> svg.strip) { overflow-x: auto; } figure > svg.strip { width: 860px; max-width: none; } }
.pair { display: grid; grid-template-columns: minmax(0, 1.5fr) minmax(0, 1fr); gap: 8px 28px; align-items: center; }
@media (max-width: 700px) { .pair { grid-template-columns: minmax(0, 1fr); } }
figcaption { color: var(--muted); font-size: .9rem; max-width: 78ch; margin-top: .4em; }
details { margin-top: .5em; font-size: .92rem; }
summary { cursor: pointer; color: var(--blue); }
.scroll { overflow-x: auto; margin: 1em 0; max-height: 480px; overflow-y: auto; }
table { border-collapse: collapse; width: 100%; font-size: .92rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; color: var(--muted); font-size: .9rem; padding: 0 0 .5em; }
th, td { text-align: left; padding: 7px 12px 7px 0; border-bottom: 1px solid var(--rule); vertical-align: top; overflow-wrap: normal; }
td.long { overflow-wrap: anywhere; }
thead th { font-weight: 600; color: var(--muted); font-size: .85rem; vertical-align: bottom; position: sticky; top: 0; background: var(--paper); }
tbody th { font-weight: 500; white-space: nowrap; }
.number { text-align: right; white-space: nowrap; }
thead .number { white-space: normal; }
.yes { color: var(--green); font-weight: 600; } .no { color: var(--bad); font-weight: 600; }
svg.strip text { font: 600 11px system-ui, -apple-system, "Segoe UI", Roboto, Arial, sans-serif; text-anchor: middle; fill: #10263d; }
svg.strip text.light { fill: #fff; }
svg.strip text.stage { fill: var(--muted); font-weight: 400; font-size: 12px; }
.k3 { fill: var(--k3); } .k5 { fill: var(--k5); } .k7 { fill: var(--k7); } .off { fill: none; stroke: var(--rule); stroke-dasharray: 3 2; }
table.confusion { width: auto; } table.confusion td, table.confusion th { padding: 5px 8px; }
td.cell { background: color-mix(in srgb, var(--blue) var(--share), transparent); }
.kernel { white-space: nowrap; margin-left: .6em; }
.key { display: inline-block; width: .9em; height: .9em; border-radius: 3px; vertical-align: -.1em; margin: 0 .3em 0 0; }
.key.k3 { background: var(--k3); } .key.k5 { background: var(--k5); } .key.k7 { background: var(--k7); }
footer { color: var(--muted); font-size: .85rem; padding-top: 2em; padding-bottom: 48px; }
@media print {
  :root { color-scheme: light; --paper:#fff; --ink:#000; --muted:#444; --rule:#ccc; --panel:#f4f4f4; --cloud:#8a97ab;
    --blue:#1f6fb4; --orange:#c8500a; --green:#1b7f5c; --purple:#7a4fb5; --brown:#8a6212; --bad:#b3261e;
    --k3:#cfe0f2; --k5:#5b93c9; --k7:#1d4f86; }
  body { font-size: 10.5pt; print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  header, main, footer { max-width: none; padding: 0; }
  h2, h3 { break-after: avoid; } figure, tr, dl.facts div { break-inside: avoid; }
  .scroll { overflow: visible; max-height: none; } thead th { position: static; }
  details:not([open]) { display: none; } a { color: inherit; }
}
`;
