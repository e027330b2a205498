/** Converts documents to rows of T + 1 tokens: inputs, and targets shifted by one. */
import type { FileMark } from "./file_marks.ts";
import { UserError } from "../options/user_error.ts";
import { option, phrase } from "../options/phrase.ts";
import type { PieceOrder, PlacedPiece } from "./piece_order.ts";
import { assertKnownIds } from "../tokenizers/known_ids.ts";
import { TextEnds } from "../tokenizers/text_ends.ts";
import type { Tokenizer } from "../tokenizers/tokenizer.ts";
import { UnknownTokens } from "../tokenizers/unknown_tokens.ts";

/** Between 2 and T + 1 token ids. */
export type Row = Uint32Array<ArrayBuffer>;

/**
 * `packed`: documents are concatenated with end-of-text tokens between them, and rows are cut from
 * that stream; no token is lost, and rows overlap by one so that each token but the first is
 * predicted. `padded`: each document is a row, truncated at T + 1 tokens; the rest is not used (as
 * in the published GaLore runs).
 */
export type Packing = "packed" | "padded";

export interface SequenceOptions {
  readonly tokenizer: Tokenizer;
  /** The model's vocabulary size: larger ids are refused. */
  readonly vocabSize: number;
  readonly seqLen: number; // T
  readonly packing: Packing;
}

/** Everything that future rows depend on. JSON. */
export interface SequencePlace {
  /** Passes over the files that are complete. */
  readonly pass: number;
  /** The piece of which `consumed` tokens are already in rows or in `pending`. */
  readonly at: unknown;
  /** Tokens of that piece that are used. */
  readonly consumed: number;
  /** Tokens that do not fill a row yet: one after a complete row, up to T after a pass. */
  readonly pending: readonly number[];
  /** Of the pass, that piece included; positions of earlier releases lack it. */
  readonly read?: ReadSoFar;
  /** The files that `at` depends on, where the corpus may change. */
  readonly files?: readonly (readonly FileMark[])[];
}

/** How much of the data a run has read. JSON. */
export interface ReadSoFar {
  /** Documents that were read to their end. */
  readonly documents: number;
  /** Their characters, in UTF-16 units. */
  readonly characters: number;
}

/** The data holds no row: it is empty, or too short. */
export class NoRowsError extends UserError {
  /** As it appears in a stack trace. */
  override readonly name = "NoRowsError";
}

/** Whether nothing of the pass is used. */
function isStart({ at, consumed }: SequencePlace, { start }: PieceOrder): boolean {
  return consumed === 0 && JSON.stringify(at) === JSON.stringify(start);
}

export class SequenceReader {
  #pass: number;
  #at: unknown;
  #ids: number[] = [];
  #first = false; // whether #ids starts a document
  #consumed = 0;
  #pending: number[];
  #pieces: AsyncGenerator<PlacedPiece>;
  #rowsOfPass: number;
  #documents = 0;
  #characters = 0;
  #order: PieceOrder;
  /** Of a pass that was read from its start to its end. */
  #rowsPerPass: number | undefined;
  #whole: boolean;
  readonly #ends: TextEnds;
  readonly #unknown = new UnknownTokens();
  /** What the user was told. */
  readonly #noted = new Set<unknown>();

  private constructor(
    order: PieceOrder,
    readonly options: SequenceOptions,
    place: SequencePlace,
  ) {
    this.#order = order;
    this.#pass = place.pass;
    this.#at = place.at;
    this.#pending = [...place.pending];
    // A pass resumed in the middle is known to have rows.
    this.#whole = isStart(place, order);
    this.#rowsOfPass = this.#whole ? 0 : 1;
    this.#pieces = order.pieces(place.pass, place.at);
    this.#ends = new TextEnds(options.tokenizer);
  }

  /** Resumes from a position returned by {@link place}; throws if it does not exist. */
  static async open(
    order: PieceOrder,
    options: SequenceOptions,
    place: SequencePlace = { pass: 0, at: order.start, consumed: 0, pending: [] },
  ): Promise<SequenceReader> {
    const reader = new SequenceReader(order, options, place);
    if (place.consumed === 0) {
      reader.#count(place.read);
      return reader;
    }
    try {
      const found = await reader.#advance();
      if (!found || reader.#ids.length < place.consumed) {
        throw new UserError("cannot resume the data stream: the data has changed");
      }
    } catch (error) {
      await reader.close();
      throw error;
    }
    reader.#consumed = place.consumed;
    reader.#count(place.read);
    return reader;
  }

  get order(): PieceOrder {
    return this.#order;
  }

  /**
   * Goes on in another order of the same pass, whose place `at` is that of the piece in progress;
   * at the start of a pass, from the order's own.
   */
  async follow(order: PieceOrder, at: (place: unknown) => unknown): Promise<void> {
    await this.#pieces.return(undefined);
    const starts = isStart(this.place(), this.#order);
    this.#at = starts ? order.start : at(this.#at);
    this.#pieces = order.pieces(this.#pass, this.#at);
    if (!starts) await this.#pieces.next();
    this.#order = order;
  }

  /** The position after the last row. */
  place(): SequencePlace {
    return {
      pass: this.#pass,
      at: this.#at,
      consumed: this.#consumed,
      pending: [...this.#pending],
      read: { documents: this.#documents, characters: this.#characters },
      files: this.#order.filesAt?.(this.#at),
    };
  }

  /** Notes for the user on the texts read so far, each once. */
  takeNotes(): string[] {
    return [this.#ends, this.#unknown].flatMap((source) => {
      const note = this.#noted.has(source) ? null : source.note();
      if (note === null) return [];
      this.#noted.add(source);
      return [note];
    });
  }

  /** The next row, or null at the end of the pass. */
  async next(): Promise<Row | null> {
    const row = this.options.packing === "packed" ? await this.#packed() : await this.#padded();
    if (row) this.#rowsOfPass++;
    return row;
  }

  /** The remaining tokens that do not fill a row. */
  rest(): Row | null {
    if (this.#pending.length < 2) return null;
    const rest = Uint32Array.from(this.#pending);
    this.#pending = [];
    this.#rowsOfPass++;
    return rest;
  }

  /** Rows of a pass over the data, once one has been read. */
  get rowsPerPass(): number | undefined {
    return this.#rowsPerPass;
  }

  /** Starts the next pass with the pending tokens. Throws if this one had no row. */
  startPass(): void {
    this.assertRows();
    if (this.#whole) this.#rowsPerPass = this.#rowsOfPass;
    this.#whole = true;
    this.#pass++;
    [this.#at, this.#ids, this.#consumed] = [this.order.start, [], 0];
    this.#count({ documents: 0, characters: 0 });
    this.#rowsOfPass = 0;
    this.#pieces = this.order.pieces(this.#pass);
  }

  /** Throws a {@link UserError} if the pass that has just ended had no row. */
  assertRows(): void {
    if (this.#rowsOfPass > 0) return;
    const { options: { share, heldOutShare }, files } = this.order.corpus;
    const what = { all: "the data", train: "the training data", eval: "the held-out data" }[share];
    const { seqLen, packing } = this.options;
    const few = this.#pending.length;
    const reason = few <= 1
      ? "has no text to predict"
      : `has ${few} tokens, a row of ${seqLen} needs ${seqLen + 1}`;
    const hint = share === "eval"
      ? phrase`${heldOutShare} of the data is held out; hold out more or set ${option("evalData")}`
      : few > 1 && packing === "packed"
      ? phrase`${option("seqLen", few - 1)} or less, or ${option("packing", "padded")}`
      : phrase`is this the right file, and the right ${option("textField")}?`;
    throw new NoRowsError(`${what} (${files[0].path}…) ${reason}`, hint);
  }

  /** Closes the file that is being read. */
  async close(): Promise<void> {
    await this.#pieces.return(undefined);
  }

  async #packed(): Promise<Row | null> {
    const length = this.options.seqLen + 1;
    while (this.#pending.length < length) {
      if (this.#consumed === this.#ids.length) {
        if (!(await this.#advance())) return null;
        continue;
      }
      const wanted = this.#consumed + length - this.#pending.length;
      const end = Math.min(this.#ids.length, wanted);
      for (; this.#consumed < end; this.#consumed++) this.#pending.push(this.#ids[this.#consumed]);
    }
    const row = Uint32Array.from(this.#pending);
    this.#pending = [row[length - 1]];
    return row;
  }

  async #padded(): Promise<Row | null> {
    while (await this.#advance()) {
      this.#consumed = this.#ids.length;
      // A single token predicts nothing, and later pieces of a text are not used.
      if (this.#ids.length < 2 || !this.#first) continue;
      return Uint32Array.from(this.#ids.slice(0, this.options.seqLen + 1));
    }
    return null;
  }

  #count(read: ReadSoFar = { documents: 0, characters: 0 }): void {
    ({ documents: this.#documents, characters: this.#characters } = read);
  }

  /** Encodes the next piece; false at the end of the pass. */
  async #advance(): Promise<boolean> {
    const { done, value: piece } = await this.#pieces.next();
    if (done) return false;
    const { tokenizer, vocabSize } = this.options;
    const unknown = this.#unknown;
    const ids = tokenizer.encode(piece.text, { addSpecialTokens: false, unknown });
    const { before, after } = this.#ends.missing(ids, piece);
    ids.unshift(...before);
    ids.push(...after);
    assertKnownIds(piece.where, ids, vocabSize, tokenizer);
    this.#first = piece.first;
    this.#documents += Number(piece.last);
    this.#characters += piece.text.length;
    [this.#at, this.#ids, this.#consumed] = [piece.place, ids, 0];
    return true;
  }
}
