/** LLaMA-Factory's `dataset_info.json`: names of data sets, with their location and field names. */
import { join } from "../../packages/std_path.ts";
import { isObject } from "../../files/fields.ts";
import { UserError } from "../../options/user_error.ts";
import { unreadable } from "../documents.ts";
import { declaredFormat } from "./declared_format.ts";
import type { ExampleSource } from "./sources.ts";
import { quoted } from "../../text.ts";

type Json = Record<string, unknown>;

const FILE = "dataset_info.json";

/** Supported keys of an entry, and those that apply to repositories or say nothing of the records. */
const KEYS = ["file_name", "formatting", "columns", "tags", "num_samples", "ranking"];
const IGNORED_KEYS = ["subset", "split", "file_sha1"];
/** Where else LLaMA-Factory looks for an entry's files, before `file_name`. */
const REMOTE_KEYS = ["hf_hub_url", "ms_hub_url", "om_hub_url", "script_url", "cloud_file_name"];

/**
 * The sources of the named data sets. Throws a {@link UserError} with all faults: an unknown name,
 * an unsupported key. Nothing is silently ignored.
 */
export async function datasetSources(
  folder: string,
  names: readonly string[],
): Promise<ExampleSource[]> {
  const path = join(folder, FILE);
  const info = parse(
    path,
    await Deno.readTextFile(path).catch((error) => {
      throw unreadable(path, error);
    }),
  );
  const faults: string[] = [];
  const sources = names.flatMap((name) => {
    const entry = Object.hasOwn(info, name) ? info[name] : undefined;
    if (!isObject(entry)) {
      faults.push(`has no dataset "${name}"; it has ${Object.keys(info).join(", ") || "none"}`);
      return [];
    }
    return sourceOf(folder, name, entry, (message) => faults.push(`${name}: ${message}`));
  });
  if (faults.length) throw new UserError(`${path}: ${faults.join("\n  ")}`);
  return sources;
}

function parse(path: string, text: string): Json {
  try {
    const json = JSON.parse(text);
    if (isObject(json)) return json;
  } catch (error) {
    throw new UserError(`${path}: is not valid JSON: ${(error as Error).message}`);
  }
  throw new UserError(`${path}: must be a JSON object of datasets by name`);
}

function sourceOf(
  folder: string,
  name: string,
  entry: Json,
  fault: (message: string) => void,
): ExampleSource[] {
  for (const [key, value] of Object.entries(entry)) {
    if (value === null || KEYS.includes(key) || IGNORED_KEYS.includes(key)) continue;
    fault(
      REMOTE_KEYS.includes(key)
        ? `"${key}" is not supported here: download the files, and name them as "file_name"`
        : `"${key}" is not supported here; known are ${KEYS.join(", ")}`,
    );
  }
  if (entry.ranking === true) fault(`"ranking": preference data is not supported here`);
  const { file_name: file, num_samples: limit } = entry;
  if (typeof file !== "string") {
    fault(`"file_name" must name a file of the folder, got ${quoted(file)}`);
  }
  if (
    limit !== undefined && limit !== null && !(Number.isSafeInteger(limit) && Number(limit) > 0)
  ) {
    fault(`"num_samples" must be a positive integer, got ${quoted(limit)}`);
  }
  const format = declaredFormat(entry, fault);
  if (!format) return [];
  return [{
    spec: join(folder, String(file)),
    name,
    format,
    limit: limit as number ?? undefined,
  }];
}
