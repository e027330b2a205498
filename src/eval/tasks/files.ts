/** Reads files of tasks, with errors that name the task. */
import { UserError } from "../../options/user_error.ts";
import { option, type Phrase, phrase } from "../../options/phrase.ts";
import { statOf } from "../../files/stat.ts";

/** Names in a folder, sorted. */
export async function namesIn(task: string, folder: string): Promise<string[]> {
  try {
    const names = [];
    for await (const { name } of Deno.readDir(folder)) names.push(name);
    return names.sort();
  } catch (error) {
    throw unreadable(task, folder, "folder", error);
  }
}

export async function readText(task: string, path: string, hint?: Phrase): Promise<string> {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(await Deno.readFile(path));
  } catch (error) {
    if (error instanceof TypeError) throw new UserError(`${path}: is not UTF-8 text`);
    throw unreadable(task, path, "file", error, hint);
  }
}

export async function isFolder(path: string): Promise<boolean> {
  return (await statOf(path))?.isDirectory ?? false;
}

export async function isFile(path: string): Promise<boolean> {
  return (await statOf(path))?.isFile ?? false;
}

function unreadable(task: string, path: string, kind: string, error: unknown, hint?: Phrase) {
  return error instanceof Deno.errors.NotFound
    ? new UserError(`${task}: no such ${kind}: ${path}`, hint)
    : new UserError(`${task}: ${path} cannot be read: ${(error as Error).message}`, hint);
}

/** The first `shots` examples, or an error that states how many there are. */
export function takeShots<T>(examples: readonly T[], shots: number, where: string): T[] {
  if (examples.length >= shots) return examples.slice(0, shots);
  throw new UserError(
    phrase`${where}: has ${examples.length} examples to show, ${option("shots")} asks for ${shots}`,
  );
}
