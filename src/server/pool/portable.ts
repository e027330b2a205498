/** A task for a worker on another machine: with places below its own folder where it has paths. */
import { basename, join, relative } from "../../packages/std_path.ts";
import { Hindrance } from "../jobs/hindrance.ts";
import type { Task } from "../jobs/run_options.ts";
import { type Claimed, INPUTS, RUN, type Traveller } from "./protocol.ts";
import { filesBelow, staysBehind, travellerOf } from "./travellers.ts";

export interface Portable extends Pick<Claimed, "task" | "paths" | "files" | "origins"> {
  /** Where the server has each file, by its hash. */
  readonly sources: ReadonlyMap<string, string>;
}

/** Options that are paths. */
const PATHS = ["data", "evalData", "model", "from", "tokenizer", "output"] as const;
/** Of a run's folder: what it makes anew, or what is the server's. */
const NOT_NEEDED = ["model", "adapter", "checkpoint-models"];

/** Throws a {@link NeedsServer} for a task that reads what only the server's machine has. */
export async function portable({ reads, environment: _, ...task }: Task): Promise<Portable> {
  const folder = String(task.options.output);
  const places = new Map<string, string>([[folder, RUN]]);
  const files: Traveller[] = [], sources = new Map<string, string>();
  const add = async (path: string, place: string) => {
    const file = await travellerOf(path, place);
    files.push(file);
    sources.set(file.sha256, path);
  };
  const named = PATHS.flatMap((name) => task.options[name] as string | string[] ?? []);
  for (const [index, path] of [...new Set(reads)].entries()) {
    if (!named.includes(path)) throw new NeedsServer(path);
    if (path.startsWith(folder)) continue;
    // Of a folder the place is the folder's, of a file its own.
    const place = `${INPUTS}/${index}/${basename(path)}`;
    const isFolder = (await Deno.stat(path)).isDirectory;
    places.set(path, place);
    for (const file of await filesBelow(path)) {
      await add(
        file.path,
        isFolder ? `${place}/${file.place}` : `${INPUTS}/${index}/${file.place}`,
      );
    }
  }
  const isOther = (place: string) => NOT_NEEDED.includes(place) || staysBehind(place);
  for (const { path, place } of await filesBelow(folder, isOther)) {
    await add(path, `${RUN}/${place}`);
  }

  const inFolder = (path: string) =>
    path.startsWith(folder) ? join(RUN, relative(folder, path)) : places.get(path);
  const options: Record<string, unknown> = { ...task.options };
  const paths: Record<string, string | string[]> = {};
  for (const name of PATHS) {
    const value = options[name];
    const place = Array.isArray(value)
      ? value.map((each) => inFolder(each) ?? each)
      : typeof value === "string"
      ? inFolder(value)
      : undefined;
    if (place === undefined) continue;
    delete options[name];
    paths[name] = place;
  }
  const origins = Object.fromEntries([...places].map(([path, place]) => [place, path]));
  return { task: { ...task, options }, paths, files, origins, sources };
}

/** A task that reads what does not travel. */
export class NeedsServer extends Hindrance {
  constructor(path: string) {
    super(
      `The model is read together with ${path}, which only the server's own workers can: start it ` +
        "with workers, or put a whole model into the models folder, then resume the job",
    );
  }
}
