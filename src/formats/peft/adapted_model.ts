/**
 * A base model with what its adapter holds whole in place: parameters (`modules_to_save`, biases,
 * embeddings of added tokens) and rows of the embedding. It is read like any other model; low-rank
 * updates come on top.
 */
import { PlanAllocator } from "../../gpu/allocator.ts";
import type { LlamaConfig } from "../../model/config.ts";
import { describeParameters } from "../../model/description.ts";
import { createParameters } from "../../model/parameters.ts";
import { option, phrase } from "../../options/phrase.ts";
import { UserError } from "../../options/user_error.ts";
import { findModel } from "../find_model.ts";
import { openFound, type PretrainedModel } from "../pretrained_model.ts";
import type { WeightFile, WeightInfo } from "../weight_file.ts";
import { weightsMark } from "../weights_mark.ts";
import { endsWith, PeftAdapter, type SavedRows } from "./adapter.ts";

/** A base model and its adapter, opened. */
export interface AdaptedModel extends PretrainedModel {
  /** The low-rank updates, to be read into parameters of this configuration. */
  readonly adapter: PeftAdapter;
  /** Whether the adapter has another number of tokens than its base. */
  readonly resized: boolean;
}

/**
 * Opens a model and the folder of an adapter, or an adapter's folder and its base. Throws a {@link
 * UserError} if the adapter does not fit the model.
 */
export async function openAdapted(spec: string, folder?: string): Promise<AdaptedModel> {
  const opened = await openWithAdapter(spec, folder);
  if (opened.adapter) return opened as AdaptedModel;
  opened[Symbol.dispose]();
  throw new UserError(
    `${spec}: is a model without an adapter`,
    phrase`name the adapter as well: ${option("adapter")}`,
  );
}

/** The same for what {@link findModel} has found. */
async function openBoth(spec: string, folder: string): Promise<AdaptedModel> {
  const base = await openFound(spec, folder);
  let adapter: PeftAdapter | undefined;
  try {
    adapter = await PeftAdapter.open(folder);
    const opened = adapter, { config, weights } = await adapt(base, adapter);
    return {
      path: base.path,
      config,
      weights,
      warnings: [...base.warnings, ...await otherBase(opened, base)],
      adapter,
      resized: config.vocabSize !== base.config.vocabSize,
      [Symbol.dispose]() {
        opened[Symbol.dispose]();
        base[Symbol.dispose]();
      },
    };
  } catch (error) {
    adapter?.[Symbol.dispose]();
    base[Symbol.dispose]();
    throw error;
  }
}

/** For the user: that the adapter was trained on other weights, where that is known. */
async function otherBase(
  { folder, baseMark }: Pick<PeftAdapter, "folder" | "baseMark">,
  base: Pick<PretrainedModel, "path" | "config" | "weights">,
): Promise<string[]> {
  if (baseMark === undefined) return [];
  const mark = await weightsMark(base);
  return mark === baseMark ? [] : [
    `${folder} was trained on other weights than those in ${base.path} (their mark was ${baseMark}, is ` +
    `${mark}): what it has learned may not fit them`,
  ];
}

/** Opens what {@link findModel} finds: a model, with its adapter if there is one. */
export async function openWithAdapter(
  spec: string,
  folder: string | undefined,
): Promise<PretrainedModel & Partial<AdaptedModel>> {
  const { model, adapter } = await findModel(spec, folder);
  return adapter === undefined ? await openFound(model) : await openBoth(model, adapter);
}

const EMBEDDING = "model.embed_tokens.weight", HEAD = "lm_head.weight";

/** Where a parameter comes from. */
interface Source {
  readonly file: WeightFile;
  readonly tensor: string;
  readonly rows?: SavedRows;
}

async function adapt(
  { config, weights }: Pick<PretrainedModel, "config" | "weights">,
  adapter: PeftAdapter,
): Promise<Pick<PretrainedModel, "config" | "weights">> {
  const sources = new Map<string, Source>();
  for (const name of weights.tensors.keys()) sources.set(name, { file: weights, tensor: name });
  if (config.tieWordEmbeddings) sources.delete(HEAD);
  for (const [name, tensor] of adapter.wholes) sources.set(name, { file: adapter.file, tensor });
  for (const [name, rows] of adapter.rows) {
    sources.set(name, { ...sources.get(name) ?? { file: weights, tensor: EMBEDDING }, rows });
  }
  const tied = config.tieWordEmbeddings && await staysTied(sources, adapter);
  // A tied head can be read under its own name, too.
  if (tied) sources.set(HEAD, sources.get(EMBEDDING)!);
  else if (!sources.has(HEAD)) sources.set(HEAD, { file: weights, tensor: EMBEDDING });
  const vocabSize = infoOf(sources.get(EMBEDDING)!).shape[0];
  const adapted: LlamaConfig = { ...config, vocabSize, tieWordEmbeddings: tied };
  assertFits(adapter, adapted, sources);
  // For names and shapes only: allocates nothing.
  adapter.assertFits(createParameters(new PlanAllocator(), adapted, {
    weights: "float32",
    groupSize: 256,
    embeddings: "float32",
    trained: "adapters",
    lora: adapter.lora,
  }));
  return { config: adapted, weights: overlay(weights, sources, adapter.file) };
}

/**
 * Whether the head is still the embedding: unless the adapter trained one of them alone, or both
 * apart. A resized tied model is saved with both, alike.
 */
async function staysTied(sources: Map<string, Source>, adapter: PeftAdapter): Promise<boolean> {
  const { wholes, rows, config: { modulesToSave, tokens } } = adapter;
  if (tokens.has("lm_head")) return false;
  const head = sources.get(HEAD);
  if (!head) return !modulesToSave.some((name) => endsWith(EMBEDDING, `${name}.weight`));
  return wholes.has(EMBEDDING) && !rows.size && await sameValues(sources.get(EMBEDDING)!, head);
}

async function sameValues(a: Source, b: Source): Promise<boolean> {
  const { shape } = infoOf(a);
  if (String(shape) !== String(infoOf(b).shape)) return false;
  const total = shape.reduce((product, side) => product * side, 1), block = 1 << 20;
  for (let start = 0; start < total; start += block) {
    const count = Math.min(block, total - start);
    const [ours, theirs] = await Promise.all(
      [a, b].map(({ file, tensor }) => file.readFloat32(tensor, start, count)),
    );
    if (ours.some((value, i) => value !== theirs[i])) return false;
  }
  return true;
}

function infoOf({ file, tensor }: Source): WeightInfo {
  return file.tensors.get(tensor)!;
}

/** Refuses parameters that the model does not have, or in another shape, by the adapter's names. */
function assertFits(
  adapter: PeftAdapter,
  config: LlamaConfig,
  sources: ReadonlyMap<string, Source>,
): void {
  const shapes = new Map(describeParameters(config).map(({ name, shape }) => [name, shape]));
  const { vocabSize } = config;
  const faults = [...adapter.wholes].flatMap(([name, tensor]) => {
    if (name === HEAD && config.tieWordEmbeddings) return []; // the same as the embedding
    const expected = shapes.get(name), { shape } = adapter.file.tensors.get(tensor)!;
    if (!expected) return [`${tensor} belongs to no parameter of the model`];
    return String(expected) === String(shape)
      ? []
      : [`${tensor} must be [${expected.join(", ")}], is [${shape.join(", ")}]`];
  });
  const [headRows] = infoOf(sources.get(HEAD)!).shape;
  if (!adapter.wholes.has(HEAD) && headRows !== vocabSize) {
    faults.push(`the embedding has ${vocabSize} rows, the model's head ${headRows}`);
  }
  for (const [name, { tensor, rows }] of adapter.rows) {
    if (name !== EMBEDDING && name !== HEAD) faults.push(`${tensor} is of no embedding`);
    const outside = rows.find((id) => id >= vocabSize);
    if (outside !== undefined) faults.push(`${tensor}: token ${outside} of ${vocabSize}`);
  }
  if (faults.length) throw adapter.misfit(faults);
}

/** The base's file with parameters read from their sources, in the base's formats. */
function overlay(
  base: WeightFile,
  sources: ReadonlyMap<string, Source>,
  adapter: WeightFile,
): WeightFile {
  const entries = [...sources].map(([name, source]): [string, WeightInfo] => {
    const { shape, dtype } = infoOf(source);
    const held = base.tensors.get(name) ?? base.tensors.get(EMBEDDING);
    return [name, { name, shape, dtype: held?.dtype ?? dtype }];
  });
  return {
    path: base.path,
    tensors: new Map(entries),
    async readFloat32(name, start = 0, count) {
      const { file, tensor, rows } = sources.get(name)!;
      const values = await file.readFloat32(tensor, start, count);
      if (rows) await putRows(adapter, rows, { values, start });
      return values;
    },
    close: () => base.close(),
    [Symbol.dispose]: () => base.close(),
  };
}

/** Puts the rows that overlap into a matrix's elements from `start` on. */
async function putRows(
  file: WeightFile,
  { tensor, rows }: SavedRows,
  { values, start }: { values: Float32Array; start: number },
): Promise<void> {
  const columns = file.tensors.get(tensor)!.shape[1], end = start + values.length;
  for (const [index, row] of rows.entries()) {
    const from = Math.max(start, row * columns), to = Math.min(end, (row + 1) * columns);
    if (from >= to) continue;
    const first = index * columns + from - row * columns;
    values.set(await file.readFloat32(tensor, first, to - from), from - start);
  }
}
