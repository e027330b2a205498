/** What a checkpoint's tensors are: parameters laid out as they were on the device. */
import { join } from "../../packages/std_path.ts";
import { z } from "../../packages/zod.ts";
import { FileRange } from "../../files/file_range.ts";
import { isThere } from "../../files/stat.ts";
import { PlanAllocator } from "../../gpu/allocator.ts";
import type { TensorReader } from "../../gpu/tensor.ts";
import type { LlamaConfig } from "../../model/config.ts";
import { type LoraShape, resultOf } from "../../model/lora_shape.ts";
import { createParameters, type LlamaParameters } from "../../model/parameters.ts";
import { CheckpointError, ENTRIES_FILE, MANIFEST_FILE } from "./manifest.ts";
import { type Checkpoint, readCheckpoint } from "./reader.ts";

/** An opened checkpoint; no tensor has been read. */
export interface CheckpointContents extends Disposable {
  readonly path: string;
  readonly step: number;
  readonly config: LlamaConfig;
  /** Format of the model that is saved from it. */
  readonly dtype: "bfloat16" | "float32";
  /** All of the model's, adapters included; those that are kept are in the checkpoint. */
  readonly parameters: LlamaParameters;
  readonly lora?: LoraShape & { readonly dropout: number };
  /** What is saved from it. */
  readonly result: "adapter" | "model";
  /** Where the other weights are: a path or `hf:…`; unknown in a checkpoint of an old version. */
  readonly base?: string;
  /** What its weights were when the run began: see weights_mark.ts; unknown in old versions' checkpoints. */
  readonly baseMark?: string;
  /** Reads the tensors of kept parameters. A damaged one is a {@link CheckpointError}. */
  readonly reader: TensorReader;
}

const float = z.enum(["bfloat16", "float32"]);
/** The part of a run's state that says what its tensors are; see train/run_state.ts. */
const schema = z.looseObject({
  config: z.looseObject({ hiddenSize: z.number(), layers: z.number() }),
  shape: z.looseObject({
    dtype: float,
    weights: z.enum(["int8", "nf4", "bfloat16", "float32"]),
    weightGroupSize: z.number(),
    embeddings: z.enum(["int8", "nf4", "bfloat16", "float32"]),
    trained: z.enum(["all", "body", "adapters", "adapters_and_embeddings", "all_but_adapted"]),
    lora: z.looseObject({ dropout: z.number() }).optional(),
  }),
  base: z.string().optional(),
  base_mark: z.string().optional(),
});

/** Whether a folder is a checkpoint. */
export async function isCheckpoint(folder: string): Promise<boolean> {
  return await isThere(join(folder, MANIFEST_FILE)) && await isThere(join(folder, ENTRIES_FILE));
}

/** Opens a checkpoint's folder. Throws a {@link CheckpointError} if it is damaged. */
export async function openCheckpoint(path: string): Promise<CheckpointContents> {
  const checkpoint = await readCheckpoint(path);
  const { success, data, error } = schema.safeParse(checkpoint.state);
  if (!success) {
    const [{ path: place, message }] = error.issues;
    throw new CheckpointError(`checkpoint ${path}: invalid state: ${place.join(".")}: ${message}`);
  }
  const { shape, base, base_mark: baseMark } = data, config = data.config as unknown as LlamaConfig;
  const lora = shape.lora as CheckpointContents["lora"];
  const { weights, weightGroupSize: groupSize, embeddings, trained } = shape;
  const parameters = createParameters(new PlanAllocator(), config, {
    weights,
    groupSize,
    embeddings,
    trained,
    lora,
  });
  const file = await FileRange.open(join(path, ENTRIES_FILE));
  return {
    path,
    step: checkpoint.step,
    config,
    dtype: shape.dtype,
    parameters,
    lora,
    result: resultOf(lora),
    base,
    baseMark,
    reader: readerOf(checkpoint, file),
    [Symbol.dispose]: () => file.close(),
  };
}

function readerOf(checkpoint: Checkpoint, file: FileRange): TensorReader {
  const intact = new Map<string, Promise<void>>();
  const verify = (name: string) => {
    if (!intact.has(name)) intact.set(name, checkpoint.verify({ names: [name] }));
    return intact.get(name)!;
  };
  const read: TensorReader["read"] = async (
    { name, byteOffset, byteLength },
    start = 0,
    length = byteLength - start,
  ) => {
    const at = byteOffset + start, end = at + length;
    if (end > checkpoint.bytes(name)) {
      throw new CheckpointError(
        `checkpoint: ${name} in ${checkpoint.path} has ${checkpoint.bytes(name)} bytes, expected ` +
          `${end}`,
      );
    }
    await verify(name);
    return await checkpoint.readRange(file, name, at, end);
  };
  return {
    read,
    readInto: async (tensor, into, start) => into.set(await read(tensor, start, into.length)),
  };
}
