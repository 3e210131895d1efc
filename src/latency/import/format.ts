/** Foreign latency tables: one file a format; see index.ts. */
import type { SearchSpace } from '../../space/space.js';
import type { ImportedTable } from '../imported.js';

export interface ImportRequest {
  readonly files: readonly string[];
  /** What the table calls the device. */
  readonly device: string;
  /** The space that the figures are for, with width and classes; its image sizes become those of the table. */
  readonly space: SearchSpace;
  readonly origin: ImportedTable['origin'];
  /** Images a run. */
  readonly batch: number;
}

export interface ImportResult {
  readonly table: ImportedTable;
  /** Keys of blocks of the space that the files do not have, by image size: asking for them is an error. */
  readonly missing: ReadonlyMap<number, readonly string[]>;
  /** Rows that no block of the space needs. */
  readonly unused: number;
}

export interface LatencyImport {
  readonly name: string;
  readonly description: string;
  /** Throws UserError for unreadable files, and for files that are not about networks of the space. */
  read(request: ImportRequest): Promise<ImportResult>;
}
