/** Writes the model, or the adapter, of a checkpoint as other programs read it. */
import { join } from "../packages/std_path.ts";
import { isThere } from "../files/stat.ts";
import { type CheckpointContents, openCheckpoint } from "../formats/checkpoint/contents.ts";
import { ENTRIES_FILE, MANIFEST_FILE } from "../formats/checkpoint/manifest.ts";
import { adapterWeights } from "../formats/checkpoint/weights.ts";
import { type FloatType, fromFloat32 } from "../formats/element_types.ts";
import { ADAPTER_CONFIG } from "../formats/peft/config.ts";
import { ADAPTER_WEIGHTS, BASE_MARK } from "../formats/peft/layout.ts";
import { openCheckpointModel } from "../formats/pretrained_model.ts";
import { type SafetensorsEntry, writeSafetensors } from "../formats/safetensors.ts";
import { writeSafetensorsSharded } from "../formats/safetensors_shards.ts";
import { inBlocks, type WeightFile, type WeightInfo } from "../formats/weight_file.ts";
import { UserError } from "../options/user_error.ts";

/** Files of a checkpoint that are not the model's. */
const OWN: readonly string[] = [MANIFEST_FILE, ENTRIES_FILE];

/** How {@link saveCheckpointFolder} reports its progress. */
export interface SaveProgress {
  /** Called with the share of the weights written. */
  readonly onProgress?: (share: number) => void;
  /** Stops between tensors; leaves no weights in the folder. */
  readonly signal?: AbortSignal;
}

/**
 * Writes weights, configuration, tokenizer and card into `folder`, which must exist: the same bytes
 * as a run's result at that step. `base` is where the weights are that were not trained, if the run
 * knows better. Needs no GPU. Throws a {@link UserError} if an earlier version wrote the checkpoint,
 * which then has nothing but weights.
 */
export async function saveCheckpointFolder(
  checkpoint: string,
  folder: string,
  progress: SaveProgress = {},
  base?: string,
): Promise<void> {
  using contents = await openCheckpoint(checkpoint);
  const described = contents.result === "adapter" ? ADAPTER_CONFIG : "config.json";
  if (!await isThere(join(checkpoint, described))) {
    throw new UserError(
      `${checkpoint}: holds no ${described}: an earlier version of this program wrote it`,
      "resume the run with this version, and use its next checkpoint",
    );
  }
  await saveCheckpointWeights(contents, folder, progress, base);
  await copyFolder(checkpoint, folder, OWN);
}

/** The weights alone; `base` as there. */
export async function saveCheckpointWeights(
  contents: CheckpointContents,
  folder: string,
  progress: SaveProgress = {},
  base?: string,
): Promise<void> {
  const metadata = { format: "pt" };
  if (contents.result === "adapter") {
    const entries = entriesOf(adapterWeights(contents), progress);
    const { baseMark } = contents, marked = baseMark ? { [BASE_MARK]: baseMark } : undefined;
    return await writeSafetensors(join(folder, ADAPTER_WEIGHTS), entries, {
      ...metadata,
      ...marked,
    });
  }
  using model = await openCheckpointModel(contents.path, base);
  await writeSafetensorsSharded(folder, entriesOf(model.weights, progress), { metadata });
}

function entriesOf(
  file: WeightFile,
  { onProgress, signal }: SaveProgress,
): SafetensorsEntry[] {
  const infos = [...file.tensors.values()];
  let done = 0;
  return infos.map((info) => {
    const data = async function* () {
      signal?.throwIfAborted();
      yield* bytesOf(file, info);
      onProgress?.(++done / infos.length);
    };
    return { name: info.name, shape: info.shape, dtype: info.dtype as FloatType, data: data() };
  });
}

async function* bytesOf(file: WeightFile, info: WeightInfo): AsyncGenerator<Uint8Array> {
  for await (const values of inBlocks(file, info)) {
    yield fromFloat32(info.dtype as FloatType, values);
  }
}

async function copyFolder(from: string, to: string, except: readonly string[]): Promise<void> {
  await Deno.mkdir(to, { recursive: true });
  for await (const { name, isDirectory } of Deno.readDir(from)) {
    if (except.includes(name)) continue;
    if (isDirectory) await copyFolder(join(from, name), join(to, name), []);
    else await Deno.copyFile(join(from, name), join(to, name));
  }
}
