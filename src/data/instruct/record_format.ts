/** The formats of instruction data, and their detection. */
import { UserError } from "../../options/user_error.ts";
import { remedyFor } from "./likely_format.ts";
import { excerpt, isRecord } from "./record_values.ts";

/** Layouts of instruction data that are understood. */
export const FORMATS = ["alpaca", "sharegpt", "openai", "prompt_completion", "text"] as const;
/** One of {@link FORMATS}. */
export type FormatName = (typeof FORMATS)[number];

/**
 * Field names of a record, as in LLaMA-Factory's dataset_info.json. Null if it has no such field.
 */
export interface Columns {
  /** The instruction (Alpaca). */
  readonly prompt: string;
  /** Input that follows the instruction. */
  readonly query: string | null;
  /** The answer. */
  readonly response: string;
  /** Earlier turns, as pairs of question and answer. */
  readonly history: string | null;
  /** The list of messages; empty where records have none. */
  readonly messages: string;
  /** The system prompt. */
  readonly system: string | null;
  /** Descriptions of functions. */
  readonly tools: string | null;
}

/** Field and role names of a message, as in dataset_info.json. */
export interface Tags {
  /** The field that holds a message's role. */
  readonly role_tag: string;
  /** The field that holds its text. */
  readonly content_tag: string;
  /** The role of the user. */
  readonly user_tag: string;
  /** The role of the assistant. */
  readonly assistant_tag: string;
  /** The role of a function's result. */
  readonly observation_tag: string;
  /** The role of the assistant's call of a function. */
  readonly function_tag: string;
  /** The role of the system prompt. */
  readonly system_tag: string;
}

/** How the records of a file are laid out. */
export interface RecordFormat {
  /** The layout. */
  readonly name: FormatName;
  /** Where its parts are. */
  readonly columns: Columns;
  /** If absent, a message may use ShareGPT's or OpenAI's tags. */
  readonly tags?: Tags;
  /** Whether the user has declared the fields to use: others may be ignored. */
  readonly isDeclared?: boolean;
}

const ALPACA: Columns = {
  prompt: "instruction",
  query: "input",
  response: "output",
  history: "history",
  messages: "",
  system: "system",
  tools: "tools",
};

const COLUMNS: Record<FormatName, Columns> = {
  alpaca: ALPACA,
  sharegpt: { ...ALPACA, messages: "conversations" },
  openai: { ...ALPACA, messages: "messages" },
  prompt_completion: { ...ALPACA, prompt: "prompt", response: "completion" },
  text: { ...ALPACA, prompt: "text" },
};

/** A format with its usual columns. */
export function recordFormat(name: FormatName, columns: Partial<Columns> = {}): RecordFormat {
  return { name, columns: { ...COLUMNS[name], ...columns } };
}

/** The fields of the first record that identify a format. */
const SIGNS: Record<FormatName, readonly string[]> = {
  openai: ["messages"],
  sharegpt: ["conversations"],
  alpaca: ["instruction", "output"],
  prompt_completion: ["prompt", "completion"],
  text: ["text"],
};

/**
 * Detects the format of a file by its first record; throws a {@link UserError} if there is none.
 */
export function detectFormat(record: unknown, where: string): RecordFormat {
  if (!isRecord(record)) {
    throw new UserError(`${where}: a record must be a JSON object, got ${excerpt(record)}`);
  }
  const name = (Object.keys(SIGNS) as FormatName[])
    .find((each) => SIGNS[each].every((field) => field in record));
  if (name) return recordFormat(name);
  const known = FORMATS.map((each) => `${each} (${SIGNS[each].join(", ")})`).join("; ");
  throw new UserError(
    `${where}: no format of instruction data has the fields ` +
      (Object.keys(record).join(", ") || "of an empty object"),
    remedyFor(record) ?? `known are ${known}; other names are declared in a dataset_info.json`,
  );
}
