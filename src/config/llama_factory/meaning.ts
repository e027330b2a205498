/** What a key of LLaMA-Factory means here, and what its meaning is read from. */
import type { Fault } from "../../options/faults.ts";
import { quoted, shortened } from "../../text.ts";

/** The file that contains a key, and the command that reads it. */
export interface KeyContext {
  /** The value of another key; undefined if absent or null. */
  get(key: string): unknown;
  /** `warmup_ratio on line 12` */
  line(key: string): string;
  /** Whether the command has this option. */
  has(option: string): boolean;
}

/** The meaning of a key. */
export interface Meaning {
  readonly options?: Readonly<Record<string, unknown>>;
  /** Options that it implies in LLaMA-Factory, unless file or flags set them. */
  readonly implied?: Readonly<Record<string, unknown>>;
  readonly fault?: Pick<Fault, "message" | "near">;
  /** What the user should know, although the key is accepted. */
  readonly note?: string;
}

/** Of a key: its value's meaning. */
export type Reader = (value: unknown, file: KeyContext) => Meaning;

/** Whether the file is of a pre-training run: by its command, or by its stage for `memory`. */
export function pretrains({ get, has }: KeyContext): boolean {
  return has("from") && (!has("template") || get("stage") === "pt");
}

/** Whether it is a file of LLaMA-Factory, not one of ours with a few of its keys. */
export function isLlamaFactory({ get }: Pick<KeyContext, "get">): boolean {
  return get("model_name_or_path") !== undefined;
}

/** Some YAML loaders read `no` as false. */
export function isNo(value: unknown): boolean {
  return value === "no" || value === false;
}

/** LLaMA-Factory's lists are YAML lists or comma-separated words. */
export function listOf(value: unknown): unknown[] {
  if (typeof value !== "string") return Array.isArray(value) ? value : [value];
  return value.split(",").map((word) => word.trim()).filter(Boolean);
}

/** What is wrong with the value, as its meaning. */
export function fault(message: string): Meaning {
  return { fault: { message } };
}

/** A value in a message. */
export function show(value: unknown): string {
  return typeof value === "string" ? shortened(value) : quoted(value);
}
