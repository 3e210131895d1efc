/** How a folder of images is laid out: class folders, or parts (train, val, test) with class folders each. */
import { UserError } from '../../util/errors.js';
import { formatIgnored, type IgnoredCollector } from '../ignoredFiles.js';
import { READABLE_FORMS } from '../imageForms.js';
import type { FolderEntry, FolderWalk } from './folderWalk.js';

const PARTS = {
  train: ['train', 'training'],
  validation: ['val', 'valid', 'validation'],
  test: ['test', 'testing'],
} as const;
type Part = keyof typeof PARTS;

/** The images of one part, or of the whole where there are none. */
export interface PartListing {
  /** Paths relative to the root, `/` between parts. */
  readonly files: readonly string[];
  /** Indices into the classes, one a file. */
  readonly labels: readonly number[];
}

export interface FolderListing {
  readonly classes: readonly string[];
  /** Of the training part, '' where there are no parts. */
  readonly trainFolder: string;
  /** All images, where only one part or none is told apart. */
  readonly train: PartListing;
  readonly validation: PartListing | undefined;
  readonly test: PartListing | undefined;
  /** Sentences for the user. */
  readonly remarks: readonly string[];
}

const WANTED = 'CLASS/IMAGE, or train/CLASS/IMAGE beside test/CLASS/IMAGE, is wanted';
const LONGEST_LIST = 8;

const join = (folder: string, name: string): string => (folder === '' ? name : `${folder}/${name}`);

const listed = (names: readonly string[]): string =>
  names.length <= LONGEST_LIST
    ? names.join(', ')
    : `${names.slice(0, LONGEST_LIST).join(', ')} and ${names.length - LONGEST_LIST} more`;

const isPart = (name: string, part: Part): boolean =>
  (PARTS[part] as readonly string[]).includes(name.toLowerCase());

const isAnyPart = (name: string): boolean =>
  isPart(name, 'train') || isPart(name, 'validation') || isPart(name, 'test');

export class FolderLayout {
  private readonly remarks: string[] = [];

  constructor(
    private readonly root: string,
    private readonly walk: FolderWalk,
    private readonly ignored: IgnoredCollector,
  ) {}

  /** Throws UserError saying what is wanted where the folder is no data set. */
  async read(): Promise<FolderListing> {
    const top = await this.classFolders('');
    const find = (part: Part): string | undefined => top.find((name) => isPart(name, part));
    const train = find('train');
    const others = find('validation') ?? find('test');
    // A class may be called "train": parts are meant where there are two, or nothing else.
    if (train !== undefined && (others !== undefined || top.length === 1)) {
      return this.readParts(train, find('validation'), find('test'), top);
    }
    if (train === undefined && top.length > 0 && top.every(isAnyPart)) {
      throw this.unusable(`there is ${listed(top)} without train/ beside it`);
    }
    const whole = await this.readClasses('', top);
    return { ...whole, trainFolder: '', validation: undefined, test: undefined, remarks: this.remarks };
  }

  private async readParts(
    train: string,
    validation: string | undefined,
    test: string | undefined,
    top: readonly string[],
  ): Promise<FolderListing> {
    for (const name of top) {
      if (name !== train && name !== validation && name !== test) {
        this.ignored.add(`a folder beside ${train}/`, name);
      }
    }
    const { classes, train: trainListing } = await this.readClasses(train, await this.classFolders(train));
    return {
      classes,
      trainFolder: train,
      train: trainListing,
      validation: await this.readOther(validation, classes),
      test: await this.readOther(test, classes),
      remarks: this.remarks,
    };
  }

  /** Names of the folders that stand for classes; files beside them are left out. */
  private async classFolders(folder: string): Promise<string[]> {
    const entries = await this.walk.entries(folder);
    const isFolder = ({ kind }: FolderEntry): boolean => kind === 'folder';
    for (const { name } of entries.filter((entry) => !isFolder(entry))) {
      await this.walk.isImage(join(folder, name), 'images outside class folders: they have no class');
    }
    return entries.filter(isFolder).map(({ name }) => name);
  }

  /** Throws UserError where there are fewer than two classes, or one without images. */
  private async readClasses(
    folder: string,
    classes: readonly string[],
  ): Promise<Pick<FolderListing, 'classes' | 'train'>> {
    if (classes.length < 2) throw await this.tooFewClasses(folder, classes);
    const files: string[] = [];
    const labels: number[] = [];
    const empty: string[] = [];
    for (const [label, name] of classes.entries()) {
      const images = await this.walk.images(join(folder, name));
      if (images.length === 0) empty.push(name);
      for (const file of images) {
        files.push(file);
        labels.push(label);
      }
    }
    if (empty.length > 0) {
      throw new UserError(
        `Cannot use ${this.at(folder)}: every class folder must hold images (${READABLE_FORMS}): none in ${listed(empty)}${this.leftOut()}`,
      );
    }
    this.remarkNested(folder, files);
    return { classes, train: { files, labels } };
  }

  /** The validation or test part; undefined where nothing in it has a class. */
  private async readOther(
    part: string | undefined,
    classes: readonly string[],
  ): Promise<PartListing | undefined> {
    if (part === undefined) return undefined;
    const folders = await this.classFolders(part);
    const known = folders.filter((name) => classes.includes(name));
    // Images of unknown class often lie in one folder, called "unknown" or "images".
    if (known.length === 0 && folders.length <= 1) {
      for (const name of folders) this.ignored.add('a folder of images without classes', `${part}/${name}`);
      this.remarks.push(
        `${this.at(part)} has no class folders, so that the classes of its images are not known: it is left out, and ` +
          `the other parts are divided as if it were not there; sort its images into folders called as those of the training part to use them`,
      );
      return undefined;
    }
    const files: string[] = [];
    const labels: number[] = [];
    for (const name of folders) {
      const label = classes.indexOf(name);
      const images = await this.walk.images(`${part}/${name}`);
      if (label < 0) {
        throw new UserError(
          `Cannot use ${this.at(part)}/${name}: a class of the training part is wanted: those are ${listed(classes)}`,
        );
      }
      for (const file of images) {
        files.push(file);
        labels.push(label);
      }
    }
    this.remarkNested(part, files);
    return files.length === 0 ? undefined : { files, labels };
  }

  /** Deeper folders may have been meant as classes: what was made of them is said. */
  private remarkNested(folder: string, files: readonly string[]): void {
    const depth = (folder === '' ? 0 : folder.split('/').length) + 2;
    const nested = files.filter((file) => file.split('/').length > depth);
    if (nested.length === 0) return;
    this.remarks.push(
      `${nested.length} images of ${this.at(folder)} lie in folders below their class folder, e.g. ${nested[0]!}: their class is the folder above`,
    );
  }

  private async tooFewClasses(folder: string, classes: readonly string[]): Promise<UserError> {
    const only = classes[0];
    if (only === undefined) return this.unusable('there are no folders', folder);
    // An unpacked archive often is one folder that holds the data set.
    const inner = await this.walk.entries(join(folder, only));
    const folders = inner.filter(({ kind }) => kind === 'folder').map(({ name }) => name);
    const hint =
      folders.length > 1
        ? `; it holds ${listed(folders)}: perhaps ${this.at(join(folder, only))} is meant`
        : '';
    return this.unusable(`there is only ${only}${hint}`, folder);
  }

  private unusable(what: string, folder = ''): UserError {
    return new UserError(
      `Cannot use ${this.at(folder)} as a folder of images: at least two class folders are wanted (${WANTED}): ${what}${this.leftOut()}`,
    );
  }

  private at(folder: string): string {
    return folder === '' ? this.root : `${this.root}/${folder}`;
  }

  private leftOut(): string {
    const { groups } = this.ignored;
    return groups.length === 0 ? '' : `; left out: ${formatIgnored(groups)}`;
  }
}
