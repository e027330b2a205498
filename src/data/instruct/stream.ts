/** Batches of instruction data, from where a checkpoint left off. */
import { type Batch, IGNORED } from "../../model/batch.ts";
import { option, phrase } from "../../options/phrase.ts";
import { assertSame, type BatchSource, heldOut, isMarked, type StreamOptions } from "../batches.ts";
import { hashText } from "../random.ts";
import { isHeldOut, type Share } from "../sources.ts";
import { Epochs, type InstructPlace, type Stage } from "./epochs.ts";
import { contentOf, type Example } from "./example.ts";
import { loadExamples } from "./load.ts";
import { type FormatName, recordFormat } from "./record_format.ts";
import { assertExamples, type InstructReport } from "./report.ts";
import { type ResumedExamples, resumedExamples } from "./resumed_examples.ts";
import { type ExampleData, type ExampleSource, exampleSources, listSources } from "./sources.ts";
import type { ExampleStore } from "./store.ts";
import { chatTemplate } from "./templates.ts";
import { assertNoFaults, countFaults, endFaults } from "../counts.ts";

/**
 * `data` are paths, data in memory, or {@link ExampleSource}s.
 * Examples longer than `seqLen` are truncated at the end, like LLaMA-Factory's `cutoff_len`.
 */
export interface InstructOptions extends StreamOptions<ExampleData> {
  /** By default detected from each file's first record. */
  readonly format?: FormatName;
  /** A name of {@link TEMPLATE_NAMES}; by default the tokenizer's own. */
  readonly template?: string;
  /** System prompt of conversations without one. */
  readonly defaultSystem?: string;
  /** Whether to train on prompts too; default false: only on the assistant's text. */
  readonly trainOnPrompt?: boolean;
  /** Packs several whole examples per row, isolated from each other; default true. */
  readonly packing?: boolean;
  /** Maximum number of examples of each data set, from the start. */
  readonly maxSamples?: number;
  /** Leaves out examples that cannot be trained on as they are; by default they are an error. */
  readonly skipUnusable?: boolean;
  /** The position to resume from, as returned by {@link InstructStream.position}. */
  readonly position?: InstructPosition;
  /** Called periodically while the examples are encoded. */
  readonly onProgress?: (done: { examples: number; tokens: number }) => void;
  /** The date for templates that print it; default today. */
  readonly now?: Date;
}

/** The position of a stream. JSON. */
export interface InstructPosition {
  /** Of this record's layout. */
  readonly version: 1;
  /** What the stream depends on; a resume with anything else would yield other batches. */
  readonly of: Readonly<Record<string, string | number>>;
  /** See {@link InstructOptions.now}; a resumed run keeps its original date. */
  readonly now: string;
  /** Rows of the epoch already used. */
  readonly place: InstructPlace;
}

/**
 * A stream of batches of whole examples. The same options yield the same batches, and a stream
 * opened at the {@link position} of another yields exactly those that the other would have yielded
 * next. The batch size is not part of the position.
 *
 * All examples are encoded when it is opened (five to ten bytes per token stay in memory: 50,000
 * dialogues of 200 tokens take at most 100 MB), so that faults are reported before training starts
 * and the number of rows is known.
 *
 * An example takes as many positions of a row as it has tokens; the last predicts nothing. In a
 * packed row, `firstKeys` holds the start of each position's own example. Positions do not restart
 * there, because rotary embeddings encode only relative positions.
 *
 * @example
 * ```ts
 * import { InstructStream, loadTokenizer } from "@deno-galore/trainer";
 *
 * const stream = await InstructStream.open({
 *   data: ["alpaca.json"],
 *   split: "train",
 *   tokenizer: await loadTokenizer("hf:HuggingFaceTB/SmolLM2-135M-Instruct"),
 *   batchSize: 8,
 *   seqLen: 1024,
 * });
 * const steps = Math.ceil(3 * stream.rowsPerEpoch / 8); // three epochs
 * ```
 */
export class InstructStream implements BatchSource, AsyncIterable<Batch> {
  #epoch: number;
  #row: number;
  #rows: readonly (readonly number[])[];
  #before: readonly Stage[] | undefined;

  private constructor(
    readonly options: InstructOptions,
    readonly examples: ExampleStore,
    readonly report: InstructReport,
    private readonly epochs: Epochs,
    private readonly of: InstructPosition["of"],
    private readonly now: Date,
    /** Where it begins. */
    private readonly start: ResumedExamples,
  ) {
    ({ epoch: this.#epoch, row: this.#row, before: this.#before } = start);
    this.#rows = start.rows ?? epochs.rows(this.#epoch);
  }

  /** Throws a {@link UserError} if the data cannot be read, encoded or trained on. */
  static async open(options: InstructOptions): Promise<InstructStream> {
    assertOptions(options);
    const { split, tokenizer, seqLen, position, packing = true, seed = 0 } = options;
    const { trainOnPrompt = false, heldOutShare = 0.05, template: name = "default" } = options;
    const now = position ? new Date(position.now) : options.now ?? new Date();
    const held = heldOut({ ...options, heldOutShare, of: position?.of });
    const { share } = held;
    const sources = split === "eval" && options.evalData
      ? exampleSources(options.evalData, "evalData")
      : exampleSources(options.data);
    const listed = await listSources(sources.map((each) => sourceOf(each, options)));
    const files = listed.flatMap((source) => source.files);
    const { store, report, template, starts } = await loadExamples(listed, {
      tokenizer,
      template: () => chatTemplate(name, tokenizer, now),
      trainOnPrompt,
      vocabSize: options.vocabSize ?? tokenizer.vocabSize,
      seqLen,
      selects: (example) => selects(example, share, held.heldOutShare),
      checksOthers: split === "train",
      skipUnusable: options.skipUnusable,
      defaultSystem: options.defaultSystem,
      onProgress: options.onProgress,
    });
    report.notes.push(...held.notes, ...listed.flatMap(({ notes }) => notes));
    assertExamples(report, {
      what: `${share === "eval" ? "the held-out data" : "the data"} (${files[0].path}…)`,
      seqLen,
      hint: share === "eval"
        ? phrase`${heldOutShare} of the data is held out; hold out more or set
          ${option("evalData")}`
        : undefined,
    });
    const mayChange = split === "train" && isMarked(files) && !(position && "names" in position.of);
    const of = {
      ...(mayChange ? undefined : {
        files: files.length,
        bytes: files.reduce((sum, file) => sum + file.size, 0),
        names: hashText(files.map((file) => file.name).join("\n")),
      }),
      share: share === "all" ? share : `${share} ${held.heldOutShare}`,
      template: template ? name : "none",
      trainOnPrompt: `${trainOnPrompt}`,
      seqLen,
      packing: packing ? "packed" : "padded",
      seed,
      examples: store.count,
      tokens: store.tokens,
      content: store.hash(),
    };
    const lengths = Array.from({ length: store.count }, (_, index) => store.length(index));
    const epochs = new Epochs({
      lengths,
      seqLen,
      packing,
      seed: split === "train" ? seed : undefined,
    });
    const start = mayChange
      ? await resumedExamples({ starts, store, epochs }, position?.place)
      : { ...position?.place ?? { epoch: 0, row: 0 }, changed: false };
    if (position) {
      const { examples, tokens, content } = position.of;
      assertSame(position, start.changed ? { ...of, examples, tokens, content } : of, 1);
    }
    if (start.note) report.notes.push(start.note);
    return new InstructStream(options, store, report, epochs, of, now, start);
  }

  /** Rows that passes over the present examples have up to here. */
  get rowsRead(): number {
    return (this.#epoch + 1) * this.rowsPerEpoch - this.rowsLeft;
  }

  /** Rows that are left of the epoch. */
  get rowsLeft(): number {
    return this.#rows.length - this.#row;
  }

  /** The same in every epoch. */
  get rowsPerEpoch(): number {
    return this.epochs.rowCount;
  }

  /** The epoch of the next row, from 0. */
  get epoch(): number {
    return this.#row === this.#rows.length && this.#repeats ? this.#epoch + 1 : this.#epoch;
  }

  /**
   * The next batch; null at the end of a stream that does not repeat. The last batch is padded with
   * rows of ignored targets. A batch may take its last rows from the next epoch.
   */
  next(): Promise<Batch | null> {
    const { batchSize, seqLen, tokenizer, packing = true } = this.options;
    const inputs = new Uint32Array(batchSize * seqLen).fill(tokenizer.eosTokenId ?? 0);
    const targets = new Int32Array(batchSize * seqLen).fill(IGNORED);
    const firstKeys = packing ? new Uint32Array(batchSize * seqLen) : undefined;
    let tokens = 0, rows = 0, longest = 0;
    for (; rows < batchSize; rows++) {
      const row = this.#nextRow();
      if (!row) break;
      const base = rows * seqLen;
      let start = 0;
      for (const index of row) {
        const { ids, trained } = this.examples.at(index);
        inputs.set(ids, base + start);
        for (let i = 0; i + 1 < ids.length; i++) {
          if (!trained[i + 1]) continue;
          targets[base + start + i] = ids[i + 1];
          tokens++;
        }
        firstKeys?.fill(start, base + start, base + start + ids.length);
        start += ids.length;
      }
      longest = Math.max(longest, start);
      // The padding is like a separate example.
      firstKeys?.fill(start, base + start, base + seqLen);
    }
    const batch = { inputs, targets, tokens, ...(firstKeys ? { firstKeys } : { longest }) };
    return Promise.resolve(rows > 0 ? batch : null);
  }

  /** The batches up to the end, of which a stream that repeats has none. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Batch> {
    for (let batch = await this.next(); batch; batch = await this.next()) yield batch;
  }

  /** The position after the last batch returned by {@link next}. */
  position(): InstructPosition {
    const { files } = this.start;
    const place = { epoch: this.#epoch, row: this.#row, files, before: this.#before };
    return { version: 1, of: this.of, now: this.now.toISOString(), place };
  }

  /** Does nothing: no file stays open once the examples are encoded. */
  close(): Promise<void> {
    return Promise.resolve();
  }

  get #repeats(): boolean {
    return this.options.repeat ?? this.options.split === "train";
  }

  #nextRow(): readonly number[] | null {
    if (this.#row === this.#rows.length) {
      if (!this.#repeats) return null;
      this.#epoch++;
      this.#row = 0;
      this.#rows = this.epochs.rows(this.#epoch);
      this.#before = undefined;
    }
    return this.#rows[this.#row++];
  }
}

/** A source with the limits of its stream. */
export function sourceOf(
  each: ExampleSource,
  options: Pick<InstructOptions, "format" | "maxSamples">,
): ExampleSource {
  const { format, maxSamples } = options;
  const limit = Math.min(each.limit ?? Infinity, maxSamples ?? Infinity);
  return {
    ...each,
    format: each.format ?? (format && recordFormat(format)),
    limit: Number.isFinite(limit) ? limit : undefined,
  };
}

/** Selects by content, so that equal examples stay together. */
function selects(example: Example, share: Share, heldOutShare: number): boolean {
  return share === "all" ||
    isHeldOut(contentOf(example), heldOutShare) === (share === "eval");
}

function assertOptions(options: InstructOptions): void {
  const { batchSize, seqLen, maxSamples, heldOutShare = 0, tokenizer, vocabSize } = options;
  const share = heldOutShare >= 0 && heldOutShare < 1;
  assertNoFaults([
    ...countFaults({ batchSize: [batchSize, 1], seqLen: [seqLen, 2], maxSamples: [maxSamples, 1] }),
    ...(share ? [] : [`heldOutShare must be at least 0 and below 1, got ${heldOutShare}`]),
    ...endFaults(tokenizer, vocabSize),
  ]);
}
