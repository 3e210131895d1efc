/** An architecture as a strip of blocks, stage by stage: height is the expand ratio, colour the kernel size. */
import type { ArchitectureFile } from '../space/architecture.js';
import { hasPosition } from '../space/gene.js';
import type { ReportData } from './data.js';
import { html, type Html } from './html.js';

export interface PictureBlock {
  readonly kernel: number | undefined;
  readonly expand: number;
  readonly active: boolean;
}

/**
 * Blocks of each stage, those that depth switches off included. `blocks` of the report's space tells where entries
 * stand; without it they are shared out equally. Undefined where that does not come out even.
 */
export function stagesOf(
  { ks, e, d }: ArchitectureFile,
  blocks: ReportData['space']['blocks'],
): PictureBlock[][] | undefined {
  const share = e.length / d.length;
  if (blocks === undefined ? !Number.isInteger(share) || share === 0 : blocks.length !== e.length)
    return undefined;
  const stages: PictureBlock[][] = d.map(() => []);
  for (const [i, expand] of e.entries()) {
    const needs = blocks?.[i] ?? { stage: Math.floor(i / share), position: i % share };
    const { stage } = needs;
    if (stages[stage] === undefined) return undefined;
    stages[stage].push({ kernel: ks[i], expand, active: hasPosition(needs, d[stage]!) });
  }
  return stages;
}

/** `image 32; stage 1: 3×3 expand 4, 5×5 expand 6; stage 2: ...`. */
export function describeArchitecture(
  architecture: ArchitectureFile,
  blocks: ReportData['space']['blocks'],
): string {
  const stages = stagesOf(architecture, blocks);
  const { image_size, ks, e, d, w } = architecture;
  const size = `image ${image_size}`;
  if (stages === undefined) {
    return `${size}; d ${d.join(', ')}; ks ${ks.join(', ')}; e ${e.join(', ')}${w ? `; w ${w.join(', ')}` : ''}`;
  }
  const parts = stages.map((stage, i) => {
    const active = stage.filter((block) => block.active);
    const list = active.map(
      ({ kernel, expand }) => `${kernel === undefined ? '' : `${kernel}×${kernel} `}expand ${expand}`,
    );
    // A stem may have widths of its own before those of the stages.
    const index = w?.[i + w.length - d.length];
    const width = index === undefined ? '' : ` (width ${index})`;
    return `stage ${i + 1}${width}: ${list.length === 0 ? 'no optional blocks' : list.join(', ')}`;
  });
  return [size, ...parts].join('; ');
}

const WIDTH = 860;
const HEIGHT = 84;
const BASE = 62;
const TALLEST = 58;
const STAGE_GAP = 14;

/** One strip; undefined where the layout of the architecture is not known. */
export function architecturePicture(
  architecture: ArchitectureFile,
  blocks: ReportData['space']['blocks'],
  name: string,
): Html | undefined {
  const stages = stagesOf(architecture, blocks);
  if (stages === undefined) return undefined;
  const count = stages.reduce((sum, { length }) => sum + Math.max(1, length), 0);
  const pitch = Math.min(44, (WIDTH - STAGE_GAP * (stages.length - 1)) / count);
  const most = Math.max(...architecture.e);
  let x = 0;
  const drawn = stages.map((stage, i) => {
    const left = x;
    const boxes = stage.map((block) => {
      const box = drawBlock(block, x, pitch, most);
      x += pitch;
      return box;
    });
    x = Math.max(x, left + pitch);
    const middle = (left + x - 3) / 2;
    x += STAGE_GAP;
    const label = pitch * stage.length < 52 ? `${i + 1}` : `Stage ${i + 1}`;
    return html`${boxes}<text x="${middle.toFixed(1)}" y="${HEIGHT - 5}" class="stage">${label}</text>`;
  });
  const label = `${name}: ${describeArchitecture(architecture, blocks)}`;
  return html`<svg
    xmlns="http://www.w3.org/2000/svg"
    viewBox="0 0 ${WIDTH} ${HEIGHT}"
    class="strip"
    role="img"
    aria-label="${label}"
  >
    ${drawn}
  </svg>`;
}

function drawBlock({ kernel, expand, active }: PictureBlock, x: number, pitch: number, most: number): Html {
  const width = pitch - 3;
  const height = active ? Math.max(30, (TALLEST * expand) / most) : 6;
  const rect = html`<rect
    x="${x.toFixed(1)}"
    y="${(BASE - height).toFixed(1)}"
    width="${width.toFixed(1)}"
    height="${height.toFixed(1)}"
    rx="3"
    class="${active ? kernelClass(kernel) : 'off'}"
  >
    <title>${active ? blockTitle(kernel, expand) : 'Switched off by depth'}</title>
  </rect>`;
  if (!active || width < 20) return rect;
  const middle = (x + width / 2).toFixed(1);
  const dark = kernelClass(kernel) === 'k3' ? 'block' : 'block light';
  return html`${rect}${
      kernel !== undefined &&
      html`<text x="${middle}" y="${(BASE - height + 13).toFixed(1)}" class="${dark}"
        >${kernel}×${kernel}</text
      >`
    }<text x="${middle}" y="${BASE - 5}" class="${dark}">e${Number(expand.toFixed(2))}</text>`;
}

function blockTitle(kernel: number | undefined, expand: number): string {
  return `${kernel === undefined ? '' : `Kernel ${kernel}×${kernel}, `}expand ratio ${expand}`;
}

function kernelClass(kernel = 3): string {
  return kernel >= 7 ? 'k7' : kernel >= 5 ? 'k5' : 'k3';
}
