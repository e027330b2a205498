/**
 * Merges a LoRA adapter into its model: W + s · B·A for every adapted matrix, computed on the
 * device in float32, one block of rows at a time, each row scaled to its length with DoRA; what the
 * adapter holds whole replaces the model's, and everything else is copied. Neither the model nor the
 * result is ever entirely in memory. A tied head or embedding that is adapted alone becomes a matrix
 * of its own.
 *
 * A QLoRA adapter is merged into the original weights, not into their quantised values.
 */
import {
  createMergeWorkspace,
  type LowRankUpdate,
  mergeRows,
  type MergeWorkspace,
  scaleRowsTo,
  uploadFactors,
} from "../model/merge_lora.ts";
import type { LlamaConfig } from "../model/config.ts";
import { vocabularyWarnings } from "../tokenizers/check_tokenizer.ts";
import { option, phrase } from "../options/phrase.ts";
import { PlanAllocator } from "../gpu/allocator.ts";
import { UserError } from "../options/user_error.ts";
import type { Gpu } from "../gpu/gpu.ts";
import { Scope } from "../gpu/scope.ts";
import { columnsOf, elementsOf } from "../numbers/layout.ts";
import {
  createParameters,
  linearsOf,
  type LlamaParameters,
  type Parameter,
} from "../model/parameters.ts";
import { type FloatType, fromFloat32 } from "../formats/element_types.ts";
import type { SavedDType } from "../formats/hf_config.ts";
import type { PeftAdapter } from "../formats/peft/adapter.ts";
import { transposed } from "../formats/peft/layout.ts";
import { findModel } from "../formats/find_model.ts";
import { openAdapted } from "../formats/peft/adapted_model.ts";
import { assertSameTensors } from "../formats/pretrained.ts";
import type { SafetensorsEntry } from "../formats/safetensors.ts";
import { writeSafetensorsSharded } from "../formats/safetensors_shards.ts";
import type { WeightFile } from "../formats/weight_file.ts";
import { makeModelFolder } from "./new_folder.ts";
import { mergedConversation, writeMergedCard } from "./merged_files.ts";
import { type ModelFolder, readBaseFiles, writeModelFolder } from "./model_folder.ts";

/** Options of {@link mergeAdapter}. */
export interface MergeOptions {
  /** A Hugging Face folder, a `.gguf` file or `hf:org/name`; or an adapter, which names its model. */
  readonly model: string;
  /** Folder of the adapter, as peft saves one, unless `model` is it; or of the run that trains it. */
  readonly adapter?: string;
  /** Folder to write; it must not hold a model yet. */
  readonly output: string;
  /** `keep`: each tensor's own format, or bfloat16 where safetensors have no such format. */
  readonly dtype: "keep" | "bfloat16" | "float32";
  /** Called with the share of the weights written. */
  readonly onProgress?: (share: number) => void;
  /** Stops between blocks; leaves no weights in the folder. */
  readonly signal?: AbortSignal;
}

/** What {@link mergeAdapter} wrote. */
export interface MergeResult {
  /** Number of matrices that got a low-rank update. */
  readonly merged: number;
  /** Format of the projections. */
  readonly dtype: SavedDType;
  /** Whether there was a tokenizer, in the adapter's folder or with the model. */
  readonly tokenizer: boolean;
  /** What was taken otherwise than the files say, for the user. */
  readonly warnings: readonly string[];
}

/**
 * Writes the merged model as transformers would save it, with the adapter's tokenizer and chat
 * template, or else the model's. Throws a {@link UserError} if the adapter does not fit the model
 * or `output` already holds one.
 */
export async function mergeAdapter(gpu: Gpu, options: MergeOptions): Promise<MergeResult> {
  const { output } = options, { model } = await findModel(options.model, options.adapter);
  using source = await openAdapted(options.model, options.adapter);
  const { path, weights, adapter: saved } = source, { lora, folder: adapter } = saved;
  const apart = "lm_head" in lora.modules || "model.embed_tokens" in lora.modules;
  const tieWordEmbeddings = source.config.tieWordEmbeddings && !apart;
  const config = { ...source.config, tieWordEmbeddings };
  // For names and shapes only: allocates nothing.
  const parameters = createParameters(new PlanAllocator(), config, {
    weights: "float32",
    groupSize: 256,
    embeddings: "float32",
    trained: "adapters",
    lora,
  });
  const base = parameters.all.filter(({ kind }) => kind !== "adapter");
  assertSameTensors(weights, base);
  // Read before the weights are written: a fault in them must not leave half a model.
  const files = await readBaseFiles(path), talk = await mergedConversation(adapter, path);
  const { tokenizer } = talk;
  const unknown = tokenizer
    ? vocabularyWarnings(tokenizer, config, { tokenizer: adapter, model: path })
    : [];
  assertHasEnds(talk, config, { model, adapter });
  await makeModelFolder(output, "merged model");

  const updates = updatesOf(parameters);
  const typeOf = ({ name }: Parameter) => savedType(weights, name, options.dtype);
  const scope = new Scope(gpu);
  try {
    const workspace = createMergeWorkspace(
      scope,
      gpu.capabilities,
      [...updates.values()],
      rowsOfBlock,
    );
    const written = progress(base, options);
    const merge = { gpu, weights, adapter: saved, workspace, written };
    const entries = base.map((parameter): SafetensorsEntry => {
      const { name, shape } = parameter, dtype = typeOf(parameter);
      const data = mergedData(merge, { parameter, update: updates.get(parameter), dtype });
      return { name, shape, dtype, data };
    });
    await writeSafetensorsSharded(output, entries, { metadata: { format: "pt" } });
  } finally {
    scope.release();
  }
  const dtype = DTYPES[typeOf(parameters.layers[0].query.weight)];
  await writeModelFolder(output, { config, dtype, base: files, ...talk });
  await writeMergedCard({ model, adapter, output }, { dtype, chat: talk.conversing.about });
  return {
    merged: updates.size,
    dtype,
    tokenizer: tokenizer !== undefined,
    warnings: [...source.warnings, ...unknown],
  };
}

/** Refuses an adapter whose dialogues end with a token that the model has no row for. */
function assertHasEnds(
  { conversing: { ends } }: Pick<ModelFolder, "conversing">,
  { vocabSize }: LlamaConfig,
  { model, adapter }: { readonly model: string; readonly adapter: string },
): void {
  const outside = ends.find((id) => id >= vocabSize);
  if (outside === undefined) return;
  throw new UserError(
    `${adapter}: its tokenizer ends turns with token ${outside}, for which ${model} and the adapter ` +
      `have no row: they have ${vocabSize}`,
    "is it an adapter of this model?",
  );
}

/** A matrix's update, and the parameters of its factors. */
interface Update extends LowRankUpdate {
  readonly left: Parameter;
  readonly right: Parameter;
  /** DoRA's lengths of the rows. */
  readonly magnitude?: Parameter;
  /** Of the embedding, whose B is (C, r). */
  readonly transposeRight?: true;
}

function updatesOf(
  { layers, head, headAdapter, embedding, embeddingAdapter }: LlamaParameters,
): Map<Parameter, Update> {
  const linears = [...layers.flatMap(linearsOf), { weight: head, adapter: headAdapter }];
  const updates = new Map(linears.flatMap(({ weight, adapter }): [Parameter, Update][] => {
    if (!adapter) return [];
    const { a: right, b: left, scale, dora } = adapter, [rank, inner] = right.shape;
    const { magnitude } = dora ?? {};
    return [[weight, { left, right, magnitude, scale, rank, inner, out: left.shape[0] }]];
  }));
  if (embeddingAdapter) {
    const { a: left, b: right, scale } = embeddingAdapter, [inner, rank] = right.shape;
    const size = { scale, rank, inner, out: left.shape[0] };
    updates.set(embedding, { left, right, ...size, transposeRight: true });
  }
  return updates;
}

const DTYPES: Record<FloatType, SavedDType> = {
  F32: "float32",
  F16: "float16",
  BF16: "bfloat16",
};

function savedType(weights: WeightFile, name: string, dtype: MergeOptions["dtype"]): FloatType {
  if (dtype !== "keep") return dtype === "float32" ? "F32" : "BF16";
  const held = weights.tensors.get(name)!.dtype;
  return held === "F32" || held === "F16" ? held : "BF16";
}

interface Merge {
  readonly gpu: Gpu;
  readonly weights: WeightFile;
  readonly adapter: PeftAdapter;
  readonly workspace: MergeWorkspace;
  /** Called after each block with its number of elements. */
  readonly written: (elements: number) => void;
}

/** The bytes of a parameter, one block of rows at a time. */
async function* mergedData(
  { gpu, weights, adapter, workspace, written }: Merge,
  { parameter: { name, shape }, update, dtype }: {
    parameter: Parameter;
    update: Update | undefined;
    dtype: FloatType;
  },
): AsyncGenerator<Uint8Array> {
  if (update) {
    const left = await adapter.readFactor(update.left);
    const right = await adapter.readFactor(update.right);
    uploadFactors(gpu, workspace, update, {
      left,
      right: update.transposeRight ? transposed(right, update.inner) : right,
    });
  }
  const { magnitude } = update ?? {}, lengths = magnitude && await adapter.readFactor(magnitude);
  const columns = columnsOf(shape), total = elementsOf({ shape });
  const block = rowsOfBlock(columns) * columns;
  for (let from = 0; from < total; from += block) {
    const values = await weights.readFloat32(name, from, Math.min(block, total - from));
    const start = from / columns;
    const merged = update ? await mergeRows(gpu, workspace, { update, start, values }) : values;
    if (lengths) scaleRowsTo(merged, lengths.subarray(start, start + merged.length / columns));
    if (dtype === "F16") assertFits(name, merged);
    yield fromFloat32(dtype, merged);
    written(merged.length);
  }
}

/** Host memory of a block of rows in float32. */
const BLOCK_BYTES = 8 << 20;

/** A multiple of 64, where a binding can start in any matrix. */
function rowsOfBlock(columns: number): number {
  const rows = Math.floor(BLOCK_BYTES / (4 * columns));
  return Math.max(64, rows - rows % 64);
}

/** Values from here on round to infinity in float16. */
const FLOAT16_LIMIT = 65520;

function assertFits(name: string, values: Float32Array): void {
  const beyond = values.find((value) => Math.abs(value) >= FLOAT16_LIMIT);
  if (beyond === undefined) return;
  throw new UserError(
    `${name}: ${beyond} exceeds the range of float16, the model's format`,
    phrase`${option("dtype", "bfloat16")} or float32`,
  );
}

function progress(
  parameters: readonly Parameter[],
  { onProgress, signal }: MergeOptions,
): (elements: number) => void {
  const total = parameters.reduce((sum, parameter) => sum + elementsOf(parameter), 0);
  let done = 0;
  return (elements) => {
    signal?.throwIfAborted();
    onProgress?.((done += elements) / total);
  };
}
