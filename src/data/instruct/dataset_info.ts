/** LLaMA-Factory's `dataset_info.json`: names of data sets, with their location and field names. */
import { join } from "../../packages/std_path.ts";
import { isObject } from "../../files/fields.ts";
import { UserError } from "../../options/user_error.ts";
import { unreadable } from "../documents.ts";
import { type RecordFormat, recordFormat } from "./record_format.ts";
import { DEFAULT_TAGS } from "./record_messages.ts";
import type { ExampleSource } from "./sources.ts";

type Json = Record<string, unknown>;

const FILE = "dataset_info.json";

/** Supported keys of an entry, and those that apply to repositories or say nothing of the records. */
const KEYS = ["file_name", "formatting", "columns", "tags", "num_samples", "ranking"];
const IGNORED_KEYS = ["subset", "split", "file_sha1"];
/** Where else LLaMA-Factory looks for an entry's files, before `file_name`. */
const REMOTE_KEYS = ["hf_hub_url", "ms_hub_url", "om_hub_url", "script_url", "cloud_file_name"];
/** Columns of data that cannot be trained on. */
const PREFERENCE_COLUMNS = ["chosen", "rejected", "kto_tag"];
const ALPACA_COLUMNS = ["prompt", "query", "response", "history", "system", "tools"];
const SHAREGPT_COLUMNS = ["messages", "system", "tools"];

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
  const { file_name: file, num_samples: limit } = entry, formatting = entry.formatting ?? "alpaca";
  if (typeof file !== "string") {
    fault(`"file_name" must name a file of the folder, got ${JSON.stringify(file)}`);
  }
  if (
    limit !== undefined && limit !== null && !(Number.isSafeInteger(limit) && Number(limit) > 0)
  ) {
    fault(`"num_samples" must be a positive integer, got ${JSON.stringify(limit)}`);
  }
  if (formatting !== "alpaca" && formatting !== "sharegpt" && formatting !== "openai") {
    fault(`"formatting" must be alpaca, sharegpt or openai, got ${JSON.stringify(formatting)}`);
    return [];
  }
  const format = formatOf(formatting, entry, fault);
  const source = { ...format, isDeclared: true };
  return [{
    spec: join(folder, String(file)),
    name,
    format: source,
    limit: limit as number ?? undefined,
  }];
}

function formatOf(
  formatting: "alpaca" | "sharegpt" | "openai",
  entry: Json,
  fault: (message: string) => void,
): RecordFormat {
  const allowed = formatting === "alpaca" ? ALPACA_COLUMNS : SHAREGPT_COLUMNS;
  const columns = stringsIn(entry, "columns", allowed, fault);
  const tags = stringsIn(entry, "tags", Object.keys(DEFAULT_TAGS), fault);
  if (formatting !== "alpaca") {
    // Of the unnamed columns, only the messages' has a default.
    const named = columns
      ? { system: columns.system ?? null, tools: columns.tools ?? null }
      : { system: null, tools: null };
    const format = recordFormat(formatting, {
      ...named,
      ...(columns?.messages ? { messages: columns.messages } : {}),
    });
    return tags ? { ...format, tags: { ...DEFAULT_TAGS, ...tags } } : format;
  }
  if (tags) fault(`"tags" belong to formatting sharegpt`);
  if (!columns) return recordFormat("alpaca", { history: null, system: null, tools: null });
  const { prompt, query = null, response, history = null, system = null, tools = null } = columns;
  if (prompt === undefined) {
    fault(`"columns" must say which field is the "prompt"`);
    return recordFormat("alpaca");
  }
  // A prompt alone is a text, as in the entries for continued pre-training.
  if (response === undefined) return recordFormat("text", { prompt });
  return recordFormat("alpaca", { prompt, query, response, history, system, tools });
}

/** The object `entry[key]`, whose names must be allowed and whose values must be strings. */
function stringsIn(
  entry: Json,
  key: string,
  allowed: readonly string[],
  fault: (message: string) => void,
): Record<string, string | undefined> | undefined {
  const value = entry[key];
  if (value === undefined || value === null) return undefined;
  if (!isObject(value)) {
    fault(`"${key}" must be an object, got ${JSON.stringify(value)}`);
    return undefined;
  }
  const given = Object.entries(value).filter(([, each]) => each !== null);
  for (const [name, each] of given) {
    if (PREFERENCE_COLUMNS.includes(name)) {
      fault(`"${key}.${name}" is for preferences, which cannot be trained on`);
    } else if (!allowed.includes(name)) {
      fault(`"${key}.${name}" is not supported here; known are ${allowed.join(", ")}`);
    } else if (typeof each !== "string") {
      fault(`"${key}.${name}" must be a string, got ${JSON.stringify(each)}`);
    }
  }
  return Object.fromEntries(given) as Record<string, string>;
}
