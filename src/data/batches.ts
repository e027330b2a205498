/** Batches of token ids for training and evaluation, from where a checkpoint left off. */
import { type Batch, IGNORED } from "../model/batch.ts";
import { UserError } from "../options/user_error.ts";
import { checkFiles, checkSources } from "./check_corpus.ts";
import { option, type Phrase, phrase } from "../options/phrase.ts";
import { type Data, dataSpecs } from "./data.ts";
import { marksOf } from "./file_marks.ts";
import type { DataFile } from "./files.ts";
import { MixedOrder } from "./mixed_order.ts";
import { FileOrder, type PieceOrder } from "./piece_order.ts";
import { hashText, permutation, randomStream } from "./random.ts";
import { type Packing, SequenceReader } from "./sequences.ts";
import { resumedCorpus } from "./resumed_corpus.ts";
import { ShuffledRows, type ShufflePlace } from "./shuffle.ts";
import { Corpus, type Share } from "./sources.ts";
import type { Tokenizer } from "../tokenizers/tokenizer.ts";
import { assertNoFaults, countFaults, endFaults } from "./counts.ts";

/** A source of batches: {@link BatchStream}, or the stream of instruction data. */
export interface BatchSource {
  /** The next batch; null at the end of a source that does not repeat. */
  next(): Promise<Batch | null>;
  /** The position of the source, as JSON; reopened there, it continues with the same batches. */
  position(): unknown;
  /** Notes for the user on the data read since the last call. */
  takeNotes?(): readonly Phrase[];
  /** Closes the files that are open. */
  close(): Promise<void>;
}

/** Options of every stream of batches; `Source` is what it reads from. */
export interface StreamOptions<Source> {
  /** Paths of files and folders, or data in memory. */
  readonly data: Source;
  /** If given, nothing of `data` is held out. */
  readonly evalData?: Source;
  /** Which part of `data`: what is trained on, or what is held out. */
  readonly split: "train" | "eval";
  /** Encodes the texts. */
  readonly tokenizer: Tokenizer;
  /** The model's vocabulary size; by default the tokenizer's. */
  readonly vocabSize?: number;
  /** Rows of a batch, B. */
  readonly batchSize: number;
  /** Tokens of a row, T. */
  readonly seqLen: number;
  /** Seed of the order; 0 by default. */
  readonly seed?: number;
  /** Share of `data` held out from `train` for `eval`; default 0.05. */
  readonly heldOutShare?: number;
  /** Whether the stream restarts at its end; true for training by default. */
  readonly repeat?: boolean;
}

/** Options of {@link BatchStream.open}. */
export interface DataOptions extends StreamOptions<Data> {
  /** Default `packed`. */
  readonly packing?: Packing;
  /** Rows to shuffle at a time, behind the mix of documents; 0 keeps the order of the files. */
  readonly shuffleBuffer?: number;
  /** The field of a record that holds the text; default `text`. */
  readonly textField?: string;
  /** The position to resume from, as returned by {@link BatchStream.position}. */
  readonly position?: DataPosition;
  /** Of many text files, whole ones are held out: {@link BatchStream.holdsOutFiles} of training. */
  readonly holdsOutFiles?: boolean;
}

/** The position of a stream. JSON, a few kilobytes at most. */
export interface DataPosition {
  /**
   * Of the order: 1 is file after file, 2 mixes documents over all files. A checkpoint of an earlier
   * release goes on in the order in which it began.
   */
  readonly version: 1 | 2;
  /** What the stream depends on; a resume with anything else would yield other batches. */
  readonly of: Readonly<Record<string, string | number>>;
  /** The place within the shuffled rows. */
  readonly place: ShufflePlace;
}

const DEFAULT_SHUFFLE = 512;

/**
 * A stream of batches. The same options yield the same batches, and a stream opened at the {@link
 * position} of another yields exactly those that the other would have yielded next. The batch size
 * is not part of the position: it may change when a run is resumed.
 *
 * @example
 * ```ts
 * import { BatchStream, loadTokenizer } from "@deno-galore/trainer";
 *
 * const stream = await BatchStream.open({
 *   data: ["corpus.txt"],
 *   split: "train",
 *   tokenizer: await loadTokenizer("bytes"),
 *   batchSize: 8,
 *   seqLen: 256,
 * });
 * const batch = await stream.next();
 * ```
 */
export class BatchStream implements BatchSource, AsyncIterable<Batch> {
  readonly #of: DataPosition["of"];
  /** For the user: what was left out of the named folders, what is mixed less, what has changed. */
  readonly notes: readonly Phrase[];

  private constructor(
    readonly options: DataOptions,
    private readonly rows: ShuffledRows,
    private readonly reader: SequenceReader,
    { of, notes }: { readonly of: DataPosition["of"]; readonly notes: readonly Phrase[] },
  ) {
    [this.#of, this.notes] = [of, notes];
  }

  /**
   * Lists the files, reads them once (of a large corpus some 128 MB) and encodes the first rows, so
   * that faults in the data (no text, too little for a row, a broken line, a token that the model
   * lacks) are reported before training starts; those in `evalData` as well.
   */
  static async open(options: DataOptions): Promise<BatchStream> {
    assertOptions(options);
    const { data, evalData, split, tokenizer, seqLen, packing = "packed", seed = 0 } = options;
    const { heldOutShare = 0.05, textField = "text", repeat = split === "train" } = options;
    const { position } = options;
    const specs = split === "eval" && evalData ? dataSpecs(evalData, "evalData") : dataSpecs(data);
    const held = heldOut({ ...options, heldOutShare, of: position?.of });
    const corpus = await Corpus.open(specs, { textField, ...held });
    const size = split === "eval" ? 1 : Math.max(1, options.shuffleBuffer ?? DEFAULT_SHUFFLE);
    // What is made anew at each pass has no parts to choose from.
    const version = corpus.isStreamed ? 1 : position?.version;
    const mayChange = split === "train" && isMarked(corpus.files) && !(version === 1 && size > 1) &&
      !(position && "names" in position.of);
    const of = {
      ...(mayChange ? holdsOut(corpus) : listing(corpus)),
      share: held.share === "all" ? held.share : `${held.share} ${held.heldOutShare}`,
      textField,
      vocabulary: tokenizer.vocabSize,
      seqLen,
      packing,
      shuffleBuffer: size,
      seed,
    };
    if (position) assertSame(position, of, 2);
    // What a checkpoint was trained on has been checked.
    if (split === "train" && !position) await checkFiles(corpus.files, textField);
    if (split === "train" && evalData) {
      await checkSources(dataSpecs(evalData, "evalData"), textField);
    }
    const vocabSize = options.vocabSize ?? tokenizer.vocabSize;
    const making = {
      seed,
      mixes: size > 1,
      orderOf: (corpus: Corpus, strand: number) =>
        orderOf(corpus, { size, seed, seqLen, version, strand }),
    };
    const { order, place, join, note } = mayChange
      ? await resumedCorpus({ corpus, marks: await marksOf(corpus.files) }, making, position?.place)
      : { order: await making.orderOf(corpus, 0), place: position?.place };
    const reader = await SequenceReader.open(
      order,
      { tokenizer, vocabSize, seqLen, packing },
      place?.start,
    );
    try {
      const afterBlock = join && (() => join(reader));
      const rows = await ShuffledRows.open(reader, { size, seed, repeat, afterBlock }, place);
      const notes = [
        ...held.notes,
        ...corpus.notes,
        ...order.notes,
        ...note ? [note(reader)] : [],
        ...corpus.isStreamed && split === "train"
          ? [
            `${specs.length === 1 ? "the data is" : "some of the data is"} read as it comes: ` +
            `its order is kept, but for a shuffle within ${size} sequences`,
          ]
          : [],
      ];
      return new BatchStream(options, rows, reader, { of, notes });
    } catch (error) {
      await reader.close();
      throw error;
    }
  }

  /** The epoch of the next row, from 0. */
  get epoch(): number {
    return this.rows.place().start.pass;
  }

  /**
   * The next batch; null at the end of a stream that does not repeat. The last batch is padded with
   * rows of ignored targets.
   */
  async next(): Promise<Batch | null> {
    const { batchSize, seqLen, tokenizer } = this.options;
    const inputs = new Uint32Array(batchSize * seqLen).fill(tokenizer.eosTokenId ?? 0);
    const targets = new Int32Array(batchSize * seqLen).fill(IGNORED);
    let tokens = 0;
    for (let index = 0; index < batchSize; index++) {
      const row = await this.rows.next();
      if (!row) break;
      inputs.set(row.subarray(0, row.length - 1), index * seqLen);
      targets.set(row.subarray(1), index * seqLen);
      tokens += row.length - 1;
    }
    return tokens > 0 ? { inputs, targets, tokens } : null;
  }

  /** The batches up to the end, of which a stream that repeats has none. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Batch> {
    for (let batch = await this.next(); batch; batch = await this.next()) yield batch;
  }

  /** Whether whole text files are held out of training, as they were when the run began. */
  get holdsOutFiles(): boolean | undefined {
    return this.reader.order.corpus.options.holdsOutFiles;
  }

  /** The position after the last batch returned by {@link next}. */
  position(): DataPosition {
    return { version: this.reader.order.version, of: this.#of, place: this.rows.place() };
  }

  /** Sequences of a pass over the data, once one has been read ahead. */
  get rowsPerPass(): number | undefined {
    return this.reader.rowsPerPass;
  }

  /** Notes for the user on the texts read so far, each once. */
  takeNotes(): readonly string[] {
    return this.reader.takeNotes();
  }

  /** Closes the file that is being read. */
  async close(): Promise<void> {
    await this.reader.close();
  }
}

async function orderOf(
  corpus: Corpus,
  { size, seed, seqLen, version = 2, strand }: {
    readonly size: number;
    readonly seed: number;
    readonly seqLen: number;
    readonly version?: 1 | 2;
    readonly strand: number;
  },
): Promise<PieceOrder> {
  const { length } = corpus.files;
  if (size === 1) return new FileOrder(corpus, () => Array.from({ length }, (_, index) => index));
  if (version === 2) return await MixedOrder.open(corpus, { seed, seqLen, strand });
  return new FileOrder(corpus, (pass) => permutation(length, randomStream(seed, pass, 1)));
}

/**
 * Which documents a stream reads. A run that is resumed is trained on the share that it began with:
 * what was held out then stays held out when data of its own is given for evaluation.
 */
export function heldOut(
  { split, evalData, heldOutShare, of = {}, holdsOutFiles }: {
    readonly split: "train" | "eval";
    readonly evalData?: unknown;
    readonly heldOutShare: number;
    readonly of?: DataPosition["of"];
    readonly holdsOutFiles?: boolean;
  },
) {
  const { share: saved, holdsOut } = of;
  const rule = holdsOut === undefined ? holdsOutFiles : holdsOut === "files";
  const [, kept] = String(saved ?? "").match(/^train (\S+)$/) ?? [];
  if (split === "train" && evalData && kept !== undefined) {
    const note = phrase`what was held out of ${option("data")} stays out of the training beside ${
      option("evalData")
    }`;
    return { share: split, heldOutShare: Number(kept), holdsOutFiles: rule, notes: [note] };
  }
  const share: Share = evalData || (split === "train" && heldOutShare === 0) ? "all" : split;
  return { share, heldOutShare, holdsOutFiles: rule, notes: [] };
}

/** Whether a change of each file can be noticed. */
export function isMarked(files: readonly DataFile[]): boolean {
  return files.every(({ sampled, isStreamed }) => sampled !== undefined && !isStreamed);
}

function holdsOut({ options: { share, holdsOutFiles } }: Corpus) {
  return share === "all" ? undefined : { holdsOut: holdsOutFiles ? "files" : "ends" };
}

/** What a position depends on where the data may not change. */
function listing(corpus: Corpus) {
  const { files } = corpus, content = contentOf(corpus);
  return {
    files: files.length,
    bytes: files.reduce((sum, file) => sum + file.size, 0),
    names: hashText(files.map(({ name }) => name).join("\n")),
    ...(content === undefined ? undefined : { content }),
  };
}

/** A hash of what is in memory; undefined if nothing is. */
function contentOf({ files }: Corpus): number | undefined {
  const hashes = files.flatMap(({ content }) => content ?? []);
  return hashes.length ? hashText(hashes.join()) : undefined;
}

function assertOptions(options: DataOptions): void {
  const { batchSize, seqLen, shuffleBuffer, tokenizer, vocabSize } = options;
  assertNoFaults([
    ...countFaults({
      batchSize: [batchSize, 1],
      seqLen: [seqLen, 1],
      shuffleBuffer: [shuffleBuffer, 0],
    }),
    ...endFaults(tokenizer, vocabSize),
  ]);
}

/** Throws a {@link UserError} if a position belongs to a different stream. */
export function assertSame(
  position: Pick<DataPosition, "version" | "of">,
  of: DataPosition["of"],
  newest: number,
): void {
  if (!(position.version >= 1 && position.version <= newest)) {
    throw new UserError(
      `data position of version ${position.version}, known are those up to ${newest}`,
      "the checkpoint was written by a newer release: resume it with that",
    );
  }
  const keys = Object.keys({ ...position.of, ...of }).filter((key) => position.of[key] !== of[key]);
  const changes = keys.map((key) => `${key} was ${position.of[key]}, is now ${of[key]}`);
  if (changes.length) {
    throw new UserError(
      `cannot resume the data stream: ${changes.join("\n  ")}`,
      keys.includes("share")
        ? phrase`what ${option("evalShare")} would hold out now has been trained on: leave it as it
          was, or give ${option("evalData")}`
        : "resume with the data and the options of the run",
    );
  }
}
