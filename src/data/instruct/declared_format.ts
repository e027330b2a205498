/** Formats declared by the names of their fields, as in LLaMA-Factory's dataset_info.json. */
import { isObject } from "../../files/fields.ts";
import { type RecordFormat, recordFormat } from "./record_format.ts";
import { DEFAULT_TAGS } from "./record_messages.ts";
import { quoted } from "../../text.ts";

type Json = Record<string, unknown>;

/** Columns of data that cannot be trained on. */
const PREFERENCE_COLUMNS = ["chosen", "rejected", "kto_tag"];
const ALPACA_COLUMNS = ["prompt", "query", "response", "history", "system", "tools"];
const SHAREGPT_COLUMNS = ["messages", "system", "tools"];

/**
 * The format that `formatting`, `columns` and `tags` declare. Each fault is handed to `fault`;
 * undefined if there is no such formatting.
 */
export function declaredFormat(
  entry: Json,
  fault: (message: string) => void,
): RecordFormat | undefined {
  const formatting = entry.formatting ?? "alpaca";
  if (formatting !== "alpaca" && formatting !== "sharegpt" && formatting !== "openai") {
    fault(`"formatting" must be alpaca, sharegpt or openai, got ${quoted(formatting)}`);
    return undefined;
  }
  return { ...formatOf(formatting, entry, fault), isDeclared: true };
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
    fault(`"${key}" must be an object, got ${quoted(value)}`);
    return undefined;
  }
  const given = Object.entries(value).filter(([, each]) => each !== null);
  for (const [name, each] of given) {
    if (PREFERENCE_COLUMNS.includes(name)) {
      fault(`"${key}.${name}" is for preferences, which cannot be trained on`);
    } else if (!allowed.includes(name)) {
      fault(`"${key}.${name}" is not supported here; known are ${allowed.join(", ")}`);
    } else if (typeof each !== "string") {
      fault(`"${key}.${name}" must be a string, got ${quoted(each)}`);
    }
  }
  return Object.fromEntries(given) as Record<string, string>;
}
