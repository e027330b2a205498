/** Refuses a path at which nothing is, with the name that was probably meant. */
import { basename, dirname, join } from "../packages/std_path.ts";
import { nearestWord } from "../options/faults.ts";
import { UserError } from "../options/user_error.ts";

/** Throws a {@link UserError} that says of what kind the path is: `model runs/mine`. */
export async function absent(kind: string, path: string, hint?: string): Promise<never> {
  const near = await nearestIn(dirname(path), basename(path));
  const meant = near ? ` (did you mean ${join(dirname(path), near)}?)` : "";
  throw new UserError(`${kind} ${path}: no such file or folder${meant}`, hint);
}

/** Undefined where the folder does not exist, or may not be read. */
async function nearestIn(folder: string, name: string): Promise<string | undefined> {
  try {
    const names = await Array.fromAsync(Deno.readDir(folder), (entry) => entry.name);
    return names.length ? nearestWord(name, names) : undefined;
  } catch {
    return undefined;
  }
}
