/** Reads the files of a run, which may be damaged or missing: a report shows what it finds. */
import { isObject } from "../files/fields.ts";

type Json = Record<string, unknown>;

/** What a file of JSON lines holds. */
export interface Lines<Line> {
  readonly lines: readonly Line[];
  /** Lines that hold no object. */
  readonly damaged: number;
  /** Why the file could not be read, if it could not. */
  readonly missing?: string;
}

/** The objects of a file, one a line; a last line that is being written is not counted as damaged. */
export async function readLines<Line extends object>(path: string): Promise<Lines<Line>> {
  let text: string;
  try {
    text = await Deno.readTextFile(path);
  } catch (error) {
    return { lines: [], damaged: 0, missing: reasonOf(error) };
  }
  const lines: Line[] = [];
  let damaged = 0;
  const all = text.split("\n"), last = all.pop();
  for (const line of all) {
    const value = parsed(line);
    if (value) lines.push(value as Line);
    else if (line) damaged++;
  }
  const unfinished = last ? parsed(last) : undefined;
  if (unfinished) lines.push(unfinished as Line);
  return { lines, damaged };
}

/** The object in a file, or why there is none. */
export async function readObject<Value extends object>(
  path: string,
): Promise<{ readonly value?: Partial<Value>; readonly missing?: string }> {
  try {
    const value = parsed(await Deno.readTextFile(path));
    return value ? { value: value as Partial<Value> } : { missing: "is damaged" };
  } catch (error) {
    return { missing: reasonOf(error) };
  }
}

function parsed(text: string): Json | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Deno.errors.NotFound ? "is not there" : (error as Error).message;
}
