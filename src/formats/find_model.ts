/**
 * What a user names as a model: the folder of a model, an adapter, a checkpoint or a whole run. This
 * is the one place that decides what is opened.
 */
import { basename, isAbsolute, join } from "../packages/std_path.ts";
import { readJsonObject } from "../files/json_file.ts";
import { absent } from "../files/absent.ts";
import { isGgufPath } from "../files/gguf_path.ts";
import { namesIn } from "../files/names_in.ts";
import { isThere, statOf } from "../files/stat.ts";
import { isHubSpec } from "../hub/spec.ts";
import { option, phrase } from "../options/phrase.ts";
import { UserError } from "../options/user_error.ts";
import { isCheckpoint, openCheckpoint } from "./checkpoint/contents.ts";
import { CheckpointError } from "./checkpoint/manifest.ts";
import {
  type Checkpoint,
  checkpointFolder,
  checkpointSteps,
  readCheckpoint,
} from "./checkpoint/reader.ts";
import { ADAPTER_CONFIG, readAdapterConfig } from "./peft/config.ts";
import { ADAPTER_WEIGHTS } from "./peft/layout.ts";
import { weightsIn } from "./safetensors.ts";

/** What to open for a model that a user named. */
export interface FoundModel {
  /** A folder in Hugging Face's layout, a checkpoint of a model, a `.gguf` file, or `hf:…`. */
  readonly model: string;
  /** A folder in peft's layout, or a checkpoint of adapters. */
  readonly adapter?: string;
  /** What was taken from the folder of a run, for the user. */
  readonly note?: string;
}

/** A folder of a run's, and what is said about it. */
interface Chosen {
  readonly path: string;
  readonly note?: string;
}

/**
 * The model and adapter that `spec` names, with an `adapter` that is named apart: of a finished run
 * its result, of a stopped one its newest checkpoint that is whole, and an adapter with its base.
 * Any other folder is returned as it is. Throws a {@link UserError} that says what is there if it
 * cannot be used so, or which name was probably meant if nothing is.
 */
export async function findModel(spec: string, adapter?: string): Promise<FoundModel> {
  const given = adapter === undefined ? undefined : await findAdapter(adapter);
  if (isHubSpec(spec)) return { model: spec, adapter: given?.path, note: given?.note };
  const { path, note } = await inRun(spec);
  if (!await isAdapter(path)) {
    const notes = [note, given?.note].filter((each) => each !== undefined);
    return { model: path, adapter: given?.path, note: notes.join("\n") || undefined };
  }
  if (given) {
    throw new UserError(
      phrase`${
        option("adapter", adapter!)
      }: ${spec} is an adapter already, and two cannot be applied`,
      phrase`give the base as the model, or merge the first adapter`,
    );
  }
  return { model: await baseOf(path), adapter: path, note };
}

const AN_ADAPTER =
  "an adapter is a folder in peft's layout, or the folder of the run that trains it";

/** The folder of an adapter that a user named as one. */
async function findAdapter(folder: string): Promise<Chosen> {
  if (!await isThere(folder)) return await absent("adapter", folder, AN_ADAPTER);
  const chosen = await inRun(folder), { path } = chosen;
  const held = await isThere(join(path, ADAPTER_CONFIG)) || await isAdapter(path);
  if (held || !await isModel(path)) return chosen;
  throw new UserError(
    `${folder}: ${path === folder ? "is" : `${basename(path)} in it is`} a model, not an adapter`,
    phrase`give it as the model: ${option("model", folder)}`,
  );
}

async function isModel(path: string): Promise<boolean> {
  return await isThere(join(path, "config.json")) || await isCheckpoint(path);
}

/** Whether a folder holds an adapter and no model. */
async function isAdapter(path: string): Promise<boolean> {
  if (await isThere(join(path, "config.json"))) return false;
  if (await isThere(join(path, ADAPTER_CONFIG))) return true;
  if (!await isCheckpoint(path)) return false;
  using contents = await openCheckpoint(path);
  return contents.result === "adapter";
}

/** The model that an adapter was trained on. */
async function baseOf(adapter: string): Promise<string> {
  const base = await recordedBase(adapter);
  const hint = phrase`give its base as ${option("model")}, and ${option("adapter", adapter)}`;
  if (base === undefined) {
    throw new UserError(`${adapter}: is an adapter, not a model, and does not name its base`, hint);
  }
  if (isHubSpec(base) || await isThere(base)) return base;
  // peft writes a name on the hub and a path alike.
  if (!isAbsolute(base) && /^\w[\w.-]*(\/\w[\w.-]*)?$/.test(base)) return `hf:${base}`;
  throw new UserError(`${adapter}: its base model ${base} is not there`, hint);
}

async function recordedBase(adapter: string): Promise<string | undefined> {
  if (await isCheckpoint(adapter)) {
    using contents = await openCheckpoint(adapter);
    if (contents.base !== undefined) return contents.base;
    if (!await isThere(join(adapter, ADAPTER_CONFIG))) return undefined;
  }
  return (await readAdapterConfig(adapter)).base;
}

const A_MODEL = "a model is a folder, a .gguf file, or hf:org/name on the Hugging Face hub";

/** Of a run's folder its result or newest checkpoint; any other path as it is. */
async function inRun(path: string): Promise<Chosen> {
  const info = await statOf(path);
  if (!info) return await absent("model", path, A_MODEL);
  // Sizes alone can be computed from a config.json.
  if (info.isFile && !isGgufPath(path) && !path.endsWith(".json")) {
    throw new UserError(`model ${path}: is a file of another kind`, A_MODEL);
  }
  if (!await isRun(path)) return { path };
  const { newest, damaged } = await newestCheckpoint(path);
  const results = await resultsIn(path);
  const lost = damaged.length
    ? ` (${damaged.join(", ")} ${damaged.length > 1 ? "are" : "is"} damaged)`
    : "";
  if (newest && !(results.length && await hasEnded(path, newest))) {
    const { steps } = stateOf(newest), name = basename(newest.path);
    const where = `step ${newest.step}${steps === undefined ? "" : ` of ${steps}`}`;
    return { path: newest.path, note: `${path}: stopped at ${where}; using ${name}${lost}` };
  }
  if (results.length > 1 && newest) {
    using contents = await openCheckpoint(newest.path);
    results.splice(0, 2, contents.result);
  }
  if (results.length > 1) {
    throw new UserError(
      `${path}: is the folder of runs with two results: ${results.join(" and ")}`,
      `name one: ${join(path, results[0])}`,
    );
  }
  if (results.length) {
    return { path: join(path, results[0]), note: `${path}: finished; using ${results[0]}${lost}` };
  }
  throw new UserError(
    `${path}: is the folder of a run that has saved nothing that can be used${lost}`,
    phrase`train it until its first checkpoint: ${option("saveEvery")}`,
  );
}

/** Whether a folder is what a run writes to, and nothing that can be opened itself. */
async function isRun(path: string): Promise<boolean> {
  if (!(await statOf(path))?.isDirectory) return false;
  const names = await namesIn(path);
  if (names.includes("config.json") || names.includes(ADAPTER_CONFIG)) return false;
  if (names.includes("metrics.jsonl") || names.includes("summary.json")) return true;
  // Checkpoints of Hugging Face's Trainer have the same names, and are models.
  const steps = await checkpointSteps(path);
  const own = await Promise.all(steps.map((step) => isCheckpoint(checkpointFolder(path, step))));
  return own.some((each) => each) || (await resultsIn(path)).length > 0;
}

async function newestCheckpoint(path: string) {
  const damaged: string[] = [];
  for (const step of (await checkpointSteps(path)).reverse()) {
    const folder = checkpointFolder(path, step);
    try {
      return { newest: await readCheckpoint(folder), damaged };
    } catch (error) {
      if (!(error instanceof CheckpointError)) throw error;
      damaged.push(basename(folder));
    }
  }
  return { damaged };
}

/** What a run saves at its end: `model`, `adapter`, or both where methods have changed. */
async function resultsIn(path: string): Promise<string[]> {
  const model = join(path, "model"), adapter = join(path, "adapter");
  const results = [];
  if (await isThere(join(model, "config.json")) && await weightsIn(model)) results.push("model");
  const files = [ADAPTER_CONFIG, ADAPTER_WEIGHTS].map((name) => isThere(join(adapter, name)));
  if ((await Promise.all(files)).every((there) => there)) results.push("adapter");
  return results;
}

/** Whether a run ended at its newest checkpoint, so that its result is no older. */
async function hasEnded(path: string, newest: Checkpoint): Promise<boolean> {
  const { steps } = stateOf(newest);
  if (steps === undefined || newest.step >= steps) return true;
  const summary = await readJsonObject(join(path, "summary.json"));
  return summary?.stopped_early_at === newest.step;
}

/** Undefined in a checkpoint of the first version. */
function stateOf({ state }: Checkpoint): { steps?: number } {
  const { schedule } = state as { schedule?: { steps?: number } };
  return { steps: schedule?.steps };
}
