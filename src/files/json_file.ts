/** Reads JSON files of a model's folder, with errors that name them. */
import { UserError } from "../options/user_error.ts";
import { isObject } from "./fields.ts";
import { standIn } from "./stand_in.ts";

/** An object, or undefined if the file does not exist. Throws a {@link UserError} otherwise. */
export async function readJsonObject(path: string): Promise<Record<string, unknown> | undefined> {
  let bytes: Uint8Array;
  try {
    bytes = await Deno.readFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw new UserError(`${path}: cannot be read: ${(error as Error).message}`);
  }
  return parseJsonObject(path, bytes);
}

/** The object that a file holds; errors name it as `path`, and what it is instead. */
export function parseJsonObject(path: string, bytes: Uint8Array): Record<string, unknown> {
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder().decode(bytes));
  } catch (error) {
    if (bytes.length === 0) throw new UserError(`${path}: is empty`);
    throw standIn(path, bytes) ??
      new UserError(`${path}: is not valid JSON: ${(error as Error).message}`);
  }
  if (isObject(json)) return json;
  throw new UserError(`${path}: must be a JSON object`);
}
