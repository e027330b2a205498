/** Reads JSON files of a model's folder, with errors that name them. */
import { UserError } from "../options/user_error.ts";
import { isObject } from "./fields.ts";

/** An object, or undefined if the file does not exist. Throws a {@link UserError} otherwise. */
export async function readJsonObject(path: string): Promise<Record<string, unknown> | undefined> {
  let text: string;
  try {
    text = await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw new UserError(`${path}: cannot be read: ${(error as Error).message}`);
  }
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new UserError(`${path}: is not valid JSON: ${(error as Error).message}`);
  }
  if (isObject(json)) return json;
  throw new UserError(`${path}: must be a JSON object`);
}
