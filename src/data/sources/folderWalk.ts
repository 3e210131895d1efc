/** Image files below a folder, told by content; everything else is counted with the reason why it is left out. */
import type { Dirent } from 'node:fs';
import { readdir, realpath, stat } from 'node:fs/promises';
import { extname, sep } from 'node:path';
import { fileProblem } from '../../util/files.js';
import { formOfFile } from '../decodeImage.js';
import type { IgnoredCollector } from '../ignoredFiles.js';
import { READABLE_EXTENSIONS } from '../imageForms.js';

/** What systems leave behind in folders: nobody misses it. */
const LITTER =
  /^(\.DS_Store|\._.*|Thumbs\.db|ehthumbs\.db|desktop\.ini|\.directory|__MACOSX|@eaDir|\.gitkeep)$/i;

export interface FolderEntry {
  readonly name: string;
  readonly kind: 'folder' | 'file';
  readonly isLink: boolean;
}

const kindOf = (entry: Pick<Dirent, 'isDirectory' | 'isFile'>): FolderEntry['kind'] | 'other' =>
  entry.isDirectory() ? 'folder' : entry.isFile() ? 'file' : 'other';

const codeOf = (cause: unknown): string => (cause as NodeJS.ErrnoException).code ?? String(cause);

/** Paths relative to the root of the data set, `/` between parts. */
const under = (folder: string, name: string): string => (folder === '' ? name : `${folder}/${name}`);

/** `inner` is `outer`, or lies in it. Both real paths. */
const isWithin = (inner: string, outer: string): boolean =>
  inner === outer || inner.startsWith(outer.endsWith(sep) ? outer : outer + sep);

export class FolderWalk {
  private constructor(
    private readonly root: string,
    private readonly realRoot: string,
    private readonly ignored: IgnoredCollector,
  ) {}

  /** Throws UserError where there is no such folder. */
  static async open(root: string, ignored: IgnoredCollector): Promise<FolderWalk> {
    const realRoot = await realpath(root).catch((cause: unknown) => {
      throw fileProblem('read', root, cause);
    });
    return new FolderWalk(root, realRoot, ignored);
  }

  /**
   * Folders and files of a folder, links followed, in the same order on every machine. Throws UserError where the folder
   * cannot be read.
   */
  async entries(folder: string): Promise<FolderEntry[]> {
    const path = under(this.root, folder);
    const found = await readdir(path, { withFileTypes: true }).catch((cause: unknown) => {
      throw fileProblem('read', path, cause);
    });
    const entries: FolderEntry[] = [];
    for (const entry of found.sort((a, b) => (a.name < b.name ? -1 : 1))) {
      if (LITTER.test(entry.name)) continue;
      const file = under(folder, entry.name);
      if (entry.name.startsWith('.')) this.ignored.add('hidden by a dot before the name', file);
      else await this.addEntry(entry, file, entries);
    }
    return entries;
  }

  private async addEntry(entry: Dirent, file: string, into: FolderEntry[]): Promise<void> {
    const isLink = entry.isSymbolicLink();
    let kind = kindOf(entry);
    if (isLink) {
      try {
        kind = kindOf(await stat(under(this.root, file)));
      } catch (cause) {
        const code = codeOf(cause);
        const broken = code === 'ENOENT' || code === 'ELOOP';
        this.ignored.add(broken ? 'a link that leads nowhere' : `cannot be read: ${code}`, file);
        return;
      }
    }
    // A pipe or device would be waited for.
    if (kind === 'other') this.ignored.add('neither a file nor a folder', file);
    else if (isLink && kind === 'folder' && (await this.leadsBack(file))) {
      this.ignored.add('a link to a folder of the same data', file);
    } else into.push({ name: entry.name, kind, isLink });
  }

  /** A linked folder whose images are read anyway, as those of another class perhaps, or that holds the data set. */
  private async leadsBack(file: string): Promise<boolean> {
    const target = await realpath(under(this.root, file));
    if (isWithin(this.realRoot, target)) return true;
    // Hidden folders are not read by themselves: stores of versions keep files there and link to them.
    return isWithin(target, this.realRoot) && !target.slice(this.realRoot.length).includes(`${sep}.`);
  }

  /** Whether a file is an image that can be read; notes why where not. `elsewhere`: why images here are left out. */
  async isImage(file: string, elsewhere?: string): Promise<boolean> {
    let reason = elsewhere;
    // A file called an image but damaged is a damaged image: whoever decodes it says so.
    if (!READABLE_EXTENSIONS.has(extname(file).toLowerCase())) {
      try {
        const form = await formOfFile(under(this.root, file));
        if (form?.readable !== true)
          reason = form === undefined ? 'no image' : `${form.name}, which is not read`;
      } catch (cause) {
        reason = `cannot be read: ${codeOf(cause)}`;
      }
    }
    if (reason !== undefined) this.ignored.add(reason, file);
    return reason === undefined;
  }

  /** Images in a folder and in folders below it. */
  async images(folder: string): Promise<string[]> {
    const files: string[] = [];
    const real = await realpath(under(this.root, folder));
    await this.collect(folder, files, new Set(isWithin(real, this.realRoot) ? [] : [real]));
    return files;
  }

  /** `linked`: real paths of the linked folders that were read already: links may go in circles outside the root. */
  private async collect(folder: string, into: string[], linked: Set<string>): Promise<void> {
    const folders: FolderEntry[] = [];
    for (const entry of await this.entries(folder)) {
      if (entry.kind === 'folder') folders.push(entry);
      else if (await this.isImage(under(folder, entry.name))) into.push(under(folder, entry.name));
    }
    for (const { name, isLink } of folders) {
      const file = under(folder, name);
      if (isLink) {
        const target = await realpath(under(this.root, file));
        if ([...linked].some((known) => isWithin(target, known) || isWithin(known, target))) {
          this.ignored.add('a link to a folder of the same data', file);
          continue;
        }
        linked.add(target);
      }
      await this.collect(file, into, linked);
    }
  }
}
