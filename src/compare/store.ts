/**
 * What lies in the output folder of a comparison: compare.json with every run that was made, and the
 * folders of these runs. Nothing else is ever removed there.
 *
 * @module
 */
import { dirname, join } from "../packages/std_path.ts";
import { writeJson } from "../files/atomic.ts";
import { isObject } from "../files/fields.ts";
import { namesIn } from "../files/names_in.ts";
import { isThere, statOf } from "../files/stat.ts";
import { removeAll } from "../files/remove_all.ts";
import { option, phrase } from "../options/phrase.ts";
import { UserError } from "../options/user_error.ts";
import { readObject } from "../report/lines.ts";
import type { ComparedRun } from "./events.ts";
import { differenceText } from "./made_with.ts";
import type { CompareOptions } from "./options.ts";
import {
  COMPARE_FILE,
  COMPARE_TEXT,
  COMPARE_VERSION,
  type CompareRecord,
  type MadeWith,
  PLOTS,
  type RunRecord,
  type SpeedRecord,
} from "./record.ts";
import { type Asked, differenceOf } from "./same_options.ts";
import { lacksMemory } from "./sweep.ts";

/** Folders of the runs of each purpose. */
const FOLDERS = { run: "runs", sweep: "sweep" } as const;

/** The folder of a run: one for each method, purpose, seed, rate and number of steps. */
export function folderOf({ method, purpose, seed, lr, steps }: Omit<ComparedRun, "folder">) {
  const name = method.replace(/[^\w.=-]+/g, "_");
  return `${FOLDERS[purpose]}/${name}/lr-${lr}-seed-${seed}-steps-${steps}`;
}

/** What is written beside compare.json. */
const FILES = [
  COMPARE_TEXT,
  ...PLOTS.flatMap((name) => [`${name}.svg`, `${name}.png`, `${name}-dark.png`]),
];

/** What {@link folderOf} makes, so that a file that was tampered with removes nothing else. */
const FOLDER = /^(?:runs|sweep)\/(?!\.)[\w.=-]+\/lr-[\w.+-]+-seed-\d+-steps-\d+$/;

/** What a comparison is known by. */
export interface Identity extends Asked {
  readonly made: MadeWith;
}

/** The runs and speeds of all sittings. */
export class ComparisonStore {
  readonly #runs: RunRecord[];
  readonly #folders: Set<string>;
  #speeds: readonly SpeedRecord[];

  private constructor(
    private readonly output: string,
    found?: Pick<CompareRecord, "runs" | "speeds" | "folders">,
  ) {
    // Memory may be there by now; a run that does not fit is refused before it allocates any.
    this.#runs = found?.runs.filter((run) => !lacksMemory(run)) ?? [];
    this.#folders = new Set(found?.folders);
    this.#speeds = found?.speeds ?? [];
  }

  /** Throws a {@link UserError} if the folder holds anything but runs of this comparison. */
  static async open(
    { output, overwriteOutput }: Pick<CompareOptions, "output" | "overwriteOutput">,
    identity: Identity,
  ): Promise<ComparisonStore> {
    const found = await read(output);
    await assertNoOthers(output, found);
    if (!found) return new ComparisonStore(output);
    if (overwriteOutput) {
      await removeRuns(output, found);
      return new ComparisonStore(output);
    }
    assertSame(output, found, identity);
    return new ComparisonStore(output, found);
  }

  get speeds(): readonly SpeedRecord[] {
    return this.#speeds;
  }

  set speeds(speeds: readonly SpeedRecord[]) {
    this.#speeds = speeds;
  }

  find({ method, purpose, seed, lr, steps }: ComparedRun): RunRecord | undefined {
    return this.#runs.find((run) =>
      run.method === method && run.purpose === purpose && run.seed === seed && run.lr === lr &&
      run.steps === steps
    );
  }

  /** Before its run writes there. */
  addFolder(folder: string): void {
    this.#folders.add(folder);
  }

  add(run: RunRecord): void {
    this.#runs.push(run);
  }

  /** Writes compare.json with all runs, and what was asked for of them. */
  async save(view: Omit<CompareRecord, "runs" | "folders" | "speeds">): Promise<CompareRecord> {
    const record = {
      ...view,
      runs: this.#runs,
      folders: [...this.#folders],
      speeds: this.#speeds,
    };
    await writeJson(join(this.output, COMPARE_FILE), record);
    return record;
  }
}

const OLDER = "was written by an older version of this program";

/** compare.json; undefined if there is none. */
async function read(output: string): Promise<CompareRecord | undefined> {
  const path = join(output, COMPARE_FILE);
  const { value, missing } = await readObject<CompareRecord>(path);
  if (missing === "is not there") return undefined;
  const refuse = (why: string) =>
    new UserError(
      `${path}: ${why}, so that the runs beside it are unknown`,
      phrase`choose another ${option("output")}, or remove the folder yourself`,
    );
  if (!value) throw refuse(missing!);
  const { version } = value;
  if (typeof version === "number" && version < COMPARE_VERSION) throw refuse(OLDER);
  if (version !== COMPARE_VERSION) throw refuse("is of another version of this program");
  const objects = [value.runs, value.speeds, value.methods, value.folders];
  if (!objects.every(Array.isArray) || !value.runs!.every(isObject)) throw refuse("is damaged");
  // Earlier ones had the number of the data's bytes in place of its mark.
  if (value.runs!.some((run) => run.made_with?.data_mark === undefined)) throw refuse(OLDER);
  const folder = value.folders!.find((each) => !FOLDER.test(each));
  if (folder !== undefined) throw refuse(`names a folder that is no run's: ${folder}`);
  return value as CompareRecord;
}

/** Refuses a folder with content where a comparison writes that is not its own. */
async function assertNoOthers(output: string, found: CompareRecord | undefined): Promise<void> {
  const known = new Set(found?.folders), parents = new Set([...known].map((each) => dirname(each)));
  const strays: string[] = [];
  for (const top of Object.values(FOLDERS)) {
    for (const name of await visibleIn(join(output, top))) {
      const parent = `${top}/${name}`;
      if (!parents.has(parent)) strays.push(parent);
      else {
        const inside = await visibleIn(join(output, parent));
        strays.push(
          ...inside.map((each) => `${parent}/${each}`).filter((each) => !known.has(each)),
        );
      }
    }
  }
  for (const file of found ? [] : FILES) if (await isThere(join(output, file))) strays.push(file);
  if (!strays.length) return;
  throw new UserError(
    phrase`${option("output", output)}: ${join(output, strays[0])} is not of a comparison, which
      would write there`,
    phrase`move it, or choose another ${option("output")}`,
  );
}

/** Names in a folder, without hidden files; nothing if there is no folder. */
async function visibleIn(folder: string): Promise<string[]> {
  if (!(await statOf(folder))?.isDirectory) return [];
  return (await namesIn(folder)).filter((name) => !name.startsWith("."));
}

function assertSame(output: string, found: CompareRecord, asked: Identity): void {
  const { kind, made } = asked;
  if (found.kind !== kind) {
    throw new UserError(
      `${output} holds a comparison of another kind of runs: ${found.kind}`,
      phrase`choose another ${option("output")}, or add ${option("overwriteOutput", true)}`,
    );
  }
  for (const run of found.runs.filter((run) => !lacksMemory(run))) {
    const other = differenceOf(run, asked);
    if (other) {
      const { name, there = "its default", here = "its default" } = other;
      throw new UserError(
        phrase`${output} holds runs with other options (${run.folder}): ${
          option(name)
        } was ${there} there, and is ${here} now`,
        phrase`continue it with the same ones, other ${option("methods")}, ${option("seeds")} and
          rates apart, choose another ${option("output")}, or add ${
          option("overwriteOutput", true)
        } to start over`,
      );
    }
    const difference = differenceText(run.made_with, made);
    if (difference === undefined) continue;
    throw new UserError(
      `${output} holds runs that cannot be compared with new ones (${run.folder}): ${difference}`,
      phrase`choose another ${option("output")}, or add ${option("overwriteOutput", true)} to start
        over`,
    );
  }
}

/** What a comparison has written, its file last: what fails halfway can be repeated. */
async function removeRuns(output: string, { folders }: CompareRecord): Promise<void> {
  for (const folder of folders) await removeAll(join(output, folder));
  const parents = new Set(folders.map((folder) => dirname(folder)));
  for (const folder of [...parents, ...Object.values(FOLDERS)]) {
    // One with a hidden file stays.
    await Deno.remove(join(output, folder)).catch(() => {});
  }
  for (const name of [...FILES, COMPARE_FILE]) await removeAll(join(output, name));
}
