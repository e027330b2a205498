/** What a run starts from: a checkpoint or nothing, and its output folder. */
import { DiskError, diskFault, DiskFullError, MAKE_ROOM } from "../files/disk_error.ts";
import { FolderLock } from "../files/folder_lock.ts";
import { namesIn } from "../files/names_in.ts";
import { isThere, statOf } from "../files/stat.ts";
import {
  type Checkpoint,
  checkpointFolder,
  checkpointSteps,
  newestCheckpoint,
  type OnRead,
  readCheckpoint,
} from "../formats/checkpoint/reader.ts";
import { option, type Phrase, phrase } from "../options/phrase.ts";
import { UserError } from "../options/user_error.ts";
import { dirname, join, resolve } from "../packages/std_path.ts";
import { counted } from "../text.ts";
import { recoverCheckpoints } from "./checkpoint.ts";
import { METRICS_FILE, stepsReported, SUMMARY_FILE } from "./metrics.ts";
import type { RunOptions } from "./recipe.ts";
import { readRunState, type RunState } from "./run_state.ts";

/** Values of `resume` that mean the newest checkpoint of the output folder. */
const NEWEST = ["auto", "latest"];

/**
 * The checkpoint to resume from, undefined for a new run. Refuses to start a new one over what an
 * earlier one has left, or over a `result` that is there, whoever made it; `warn` is called for what
 * else was found, `onProgress` as the checkpoint is read and checked.
 */
export async function startingPoint(
  { output, resume, overwriteOutput }: RunOptions,
  result: "model" | "adapter",
  warn: (message: Phrase) => void,
  onProgress?: OnRead,
): Promise<Checkpoint | undefined> {
  await recoverCheckpoints(output);
  if (overwriteOutput) return undefined;
  if (resume && !NEWEST.includes(resume)) {
    await assertNoOther(output, result, resume);
    return await namedCheckpoint(resume, output, warn, onProgress);
  }
  const { checkpoint, damaged } = await newestCheckpoint(output, onProgress);
  for (const { path, reason } of damaged) warn(`skipping ${path}: ${reason}`);
  if (checkpoint && resume) return checkpoint;
  if (checkpoint) {
    throw new UserError(
      `${output} already holds a run: ${checkpoint.path}`,
      phrase`add ${option("resume", "auto")} to continue it or ${option("overwriteOutput", true)}
        to remove it, or choose another ${option("output")}`,
    );
  }
  const kept = [
    ...damaged.length ? [counted(damaged.length, "damaged checkpoint")] : [],
    ...await resultIn(output, result),
  ].join(" and ");
  if (kept) {
    const replaced = `${kept}, which a new run would replace`, another = option("output");
    throw resume
      ? new UserError(
        phrase`${option("resume", resume)}: ${output} has no checkpoint to continue from, but
          ${replaced}`,
        phrase`add ${option("overwriteOutput", true)} in place of ${option("resume")} to start over,
          or choose another ${another}`,
      )
      : new UserError(
        `${output} already holds ${replaced}`,
        phrase`add ${option("overwriteOutput", true)} to replace it, or choose another ${another}`,
      );
  }
  const steps = await stepsReported(output);
  if (steps) {
    warn(
      `${output} has the figures of ${counted(steps, "step")}, but no checkpoint: their weights ` +
        "are lost, and the run starts at step 1",
    );
  } else if (resume) {
    warn(phrase`${option("resume", resume)}: ${output} holds no run yet: it starts at step 1`);
  }
}

/**
 * The run that `resume` continues, if any, as its newest manifest that can be read has it; what is
 * wrong with others is reported by {@link startingPoint}, which also checks the contents.
 */
export async function begunRun(
  { output, resume, overwriteOutput }: Pick<RunOptions, "output" | "resume" | "overwriteOutput">,
): Promise<RunState | undefined> {
  if (!resume || overwriteOutput) return undefined;
  const folder = NEWEST.includes(resume) ? output : resume;
  const steps = await checkpointSteps(folder);
  const paths = steps.reverse().map((step) => checkpointFolder(folder, step));
  for (const path of paths.length ? paths : [folder]) {
    try {
      return readRunState(await readCheckpoint(path));
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
    }
  }
}

/** A checkpoint by its path, or the newest one in the folder of a run. */
async function namedCheckpoint(
  path: string,
  output: string,
  warn: (message: Phrase) => void,
  onProgress?: OnRead,
): Promise<Checkpoint> {
  const isRun = (await checkpointSteps(path)).length > 0;
  const { checkpoint, damaged } = isRun
    ? await newestCheckpoint(path, onProgress)
    : { checkpoint: await readCheckpoint(path), damaged: [] };
  // Before anything is planned or allocated for it, though there is none to take in its place.
  if (!isRun) await checkpoint!.verify({ onProgress });
  for (const { path, reason } of damaged) warn(`skipping ${path}: ${reason}`);
  if (!checkpoint) throw new UserError(`no checkpoint in ${path} is whole`);
  if (resolve(dirname(checkpoint.path)) === resolve(output)) {
    const later = (await checkpointSteps(output)).filter((step) => step > checkpoint.step);
    if (later.length) {
      warn(
        `the run continues from step ${checkpoint.step}: its later checkpoints (steps ` +
          `${later.join(", ")}) are removed once a new one is saved`,
      );
    }
  }
  return checkpoint;
}

/** Refuses to continue a run into a folder that has a result, but no checkpoint of the run it is of. */
async function assertNoOther(
  output: string,
  result: "model" | "adapter",
  resume: string,
): Promise<void> {
  if ((await checkpointSteps(output)).length) return;
  const [held] = await resultIn(output, result);
  if (held === undefined) return;
  throw new UserError(
    phrase`${
      option("resume", resume)
    }: ${output} already holds ${held}, which the run would replace`,
    phrase`choose another ${option("output")}`,
  );
}

/** For the user: the result that a run would replace, unless its folder is empty. */
async function resultIn(output: string, result: "model" | "adapter"): Promise<string[]> {
  const path = join(output, result);
  if (!(await statOf(path))?.isDirectory || !(await namesIn(path)).length) return [];
  return [`${result === "model" ? "a model" : "an adapter"} (${path})`];
}

/**
 * The output folder, locked: created early, before computing anything that could not be saved there,
 * and refused while another run writes to it.
 */
export class Output implements Disposable {
  #ended = false;

  private constructor(readonly lock: FolderLock, private readonly created: boolean) {}

  static async claim(output: string): Promise<Output> {
    const created = !await isThere(output);
    await makeOutput(output);
    return new Output(await FolderLock.take(output), created);
  }

  /** For the user. */
  get warnings(): readonly string[] {
    if (this.lock.holds) return [];
    return [
      `the file system of ${this.lock.folder} has no locks: nothing keeps another run from writing ` +
      "there",
    ];
  }

  /** Unlocks the folder; one that nothing came to be written to is removed. */
  [Symbol.dispose](): void {
    if (this.#ended) return;
    this.#ended = true;
    this.lock.release();
    if (!this.created) return;
    try {
      Deno.removeSync(this.lock.folder);
    } catch {
      // It is not empty.
    }
  }
}

/** What a run writes below its output folder beside checkpoints, and whether it is a folder. */
const RESULTS = { model: true, adapter: true, [METRICS_FILE]: false, [SUMMARY_FILE]: false };

/**
 * Creates a folder and checks that it can be written to, as can what it holds that a run writes at its
 * end.
 */
export async function makeOutput(output: string): Promise<void> {
  const refuse = (what: string, error: unknown): never => {
    const text = phrase`${option("output", output)}: ${what}: ${(error as Error).message}`;
    const fault = diskFault(error);
    if (fault === "disk_full") throw new DiskFullError(text, MAKE_ROOM);
    throw new (fault ? DiskError : UserError)(text, "choose a writable folder");
  };
  await Deno.mkdir(output, { recursive: true }).catch((error) => {
    if (!(error instanceof Deno.errors.AlreadyExists)) refuse("cannot be created", error);
    throw new UserError(
      phrase`${option("output", output)}: is a file, and a run writes to a folder`,
      "choose another one",
    );
  });
  const tryFolder = async (dir: string, what: string) => {
    try {
      await Deno.remove(await Deno.makeTempFile({ dir, prefix: ".writable-" }));
    } catch (error) {
      refuse(what, error);
    }
  };
  await tryFolder(output, "cannot be written to");
  for (const [name, isFolder] of Object.entries(RESULTS)) {
    const path = join(output, name), found = await statOf(path);
    if (!found) continue;
    if (found.isDirectory !== isFolder) {
      const [is, needed] = isFolder ? ["no folder", "a folder"] : ["a folder", "a file"];
      throw new UserError(
        phrase`${option("output", output)}: ${path} is ${is}, and a run writes ${needed} there`,
        "remove it, or choose another folder",
      );
    }
    if (isFolder) await tryFolder(path, `${name} cannot be written to`);
  }
}
