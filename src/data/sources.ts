/** A corpus: the documents of many files as one stream, with an optional held-out share. */
import { option, phrase } from "../options/phrase.ts";
import { UserError } from "../options/user_error.ts";
import type { DataSpec } from "./data.ts";
import { type ByteSource, sizeOf } from "./byte_source.ts";
import { type Parts, type Piece, type Place, type ReaderOptions, START } from "./documents.ts";
import { type DataFile, isText, listFiles } from "./files.ts";
import { hashText } from "./random.ts";
import { heldOutStart, textParts } from "./text_reader.ts";

/** All documents, those to train on, or those held out for evaluation. */
export type Share = "all" | "train" | "eval";

export interface CorpusOptions {
  readonly textField: string;
  readonly share: Share;
  /** Between 0 and 1: the share held out from `train` for `eval`. */
  readonly heldOutShare: number;
  /** Whether whole text files are held out; by default if they are many. */
  readonly holdsOutFiles?: boolean;
}

/** A position in a pass over the corpus. */
export interface CorpusPlace extends Place {
  /** Index of the file in the order of the pass. */
  readonly file: number;
}

export interface CorpusPiece extends Piece {
  readonly place: CorpusPlace;
}

/** A file, or a part of one. */
export interface CorpusPart {
  readonly file: DataFile;
  /** The bytes of a text that belong to the share. */
  readonly range?: readonly [start: number, end: number];
  readonly cut?: Parts;
  readonly part?: number;
}

export const CORPUS_START: CorpusPlace = { file: 0, ...START };

/**
 * With fewer text files than this, the end of each is held out; with more, whole files are, because
 * ends of short documents would be a poor sample.
 */
const MANY_TEXT_FILES = 100;

export class Corpus {
  readonly #manyTexts: boolean;
  readonly #sizes = new Map<ByteSource, Promise<number>>();

  private constructor(
    readonly files: readonly DataFile[],
    /** For the user: what was left out. */
    readonly notes: readonly string[],
    readonly options: CorpusOptions,
  ) {
    this.#manyTexts = options.holdsOutFiles ?? holdsOutFiles(files);
  }

  /** Whether some of it is made anew at each pass, and possibly endless. */
  get isStreamed(): boolean {
    return this.files.some(({ isStreamed }) => isStreamed);
  }

  /** Lists the files; throws a {@link UserError} on unusable ones. Reads nothing yet. */
  static async open(specs: readonly DataSpec[], options: CorpusOptions): Promise<Corpus> {
    const { heldOutShare } = options;
    if (!(heldOutShare >= 0 && heldOutShare < 1)) {
      throw new UserError(`held-out share must be at least 0 and below 1, got ${heldOutShare}`);
    }
    const { files, notes } = await listFiles(specs);
    const streamed = files.find(({ isStreamed }) => isStreamed);
    if (streamed && options.share !== "all") {
      throw new UserError(
        `${streamed.path}: is read as it comes, so nothing of it can be held out`,
        phrase`set ${option("evalData")}, or ${option("evalShare", 0)}`,
      );
    }
    // Decided once: of a part of the files, what is held out is the same.
    return new Corpus(files, notes, {
      ...options,
      holdsOutFiles: options.holdsOutFiles ?? holdsOutFiles(files),
    });
  }

  /** The same with some of its files, in this order. */
  only(files: readonly DataFile[]): Corpus {
    return new Corpus(files, [], this.options);
  }

  /**
   * The documents of one pass, from a position. `order` lists indices into {@link files}: with the
   * same order, reading from a piece's position yields that piece and all later ones again.
   *
   * Held out are records (JSON Lines, parquet) whose text hashes into the share, so that equal
   * documents stay together, and the end of each text file.
   */
  async *pieces(
    order: readonly number[],
    from: CorpusPlace = CORPUS_START,
  ): AsyncGenerator<CorpusPiece> {
    for (let position = from.file; position < order.length; position++) {
      const file = this.files[order[position]];
      const start = position === from.file ? from : START;
      const range = await this.#range(file);
      if (range && range[0] >= range[1]) continue;
      for await (const piece of this.#selected(file, file.read(start, this.#reading(range)))) {
        yield { ...piece, place: { file: position, ...piece.place } };
      }
    }
  }

  /** Cuts files into parts of about so many bytes where they can be read from anywhere. */
  async parts(partBytes: number): Promise<CorpusPart[]> {
    const parts: CorpusPart[] = [];
    for (const file of this.files) {
      const range = await this.#range(file);
      if (range && range[0] >= range[1]) continue;
      const whole = file.size <= partBytes;
      const cut = whole
        ? undefined
        : range && file.text?.size !== undefined
        ? textParts(file.text, range, partBytes)
        : await file.parts?.(partBytes);
      if (!cut) parts.push({ file, range });
      for (let part = 0; part < (cut?.count ?? 0); part++) parts.push({ file, range, cut, part });
    }
    return parts;
  }

  /** The documents of a part; of one that is a whole file, those from a place on. */
  readPart(
    { file, range, cut, part }: CorpusPart,
    from: Place | null,
    pieceBytes: number,
  ): AsyncGenerator<Piece> {
    const reading = this.#reading(range, pieceBytes);
    return this.#selected(
      file,
      cut ? cut.read(part!, reading) : file.read(from ?? START, reading),
    );
  }

  #reading(range: ReaderOptions["range"], pieceBytes?: number): ReaderOptions {
    return { textField: this.options.textField, range, pieceBytes };
  }

  async *#selected(file: DataFile, pieces: AsyncIterable<Piece>): AsyncGenerator<Piece> {
    for await (const piece of pieces) {
      if (piece.text !== "" && this.#selects(file, piece)) yield piece;
    }
  }

  /** The bytes of a text file that belong to this share; undefined for records. */
  async #range(file: DataFile): Promise<[number, number] | undefined> {
    if (!file.text) return undefined;
    const { share, heldOutShare } = this.options;
    const size = await this.#size(file.text);
    if (share === "all") return [0, size];
    if (this.#manyTexts) {
      return [0, isHeldOut(file.name, heldOutShare) === (share === "eval") ? size : 0];
    }
    const cut = await heldOutStart(file.text, size, heldOutShare);
    return share === "eval" ? [cut, size] : [0, cut];
  }

  /** Of a compressed text, found by reading it once. */
  #size(text: ByteSource): Promise<number> {
    const known = this.#sizes.get(text) ?? sizeOf(text);
    this.#sizes.set(text, known);
    return known;
  }

  #selects(file: DataFile, { text }: Piece): boolean {
    const { share, heldOutShare } = this.options;
    if (share === "all" || isText(file)) return true;
    return isHeldOut(text, heldOutShare) === (share === "eval");
  }
}

/** Whether whole text files are held out, instead of the end of each. */
function holdsOutFiles(files: readonly DataFile[]): boolean {
  return files.filter(isText).length >= MANY_TEXT_FILES;
}

/** Whether a document with that text is held out. */
export function isHeldOut(text: string, share: number): boolean {
  return hashText(text) < share * 2 ** 32;
}
