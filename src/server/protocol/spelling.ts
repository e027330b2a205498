/** From the spelling of the library and of the command line to that of the API. */
import { z } from "zod";
import type { DescribedMethod } from "../../train/method_fields.ts";

/** `batchSize` is `batch_size`. */
export function snakeCase(option: string): string {
  return option.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/** Flags in a text become fields: `needs --rank auto` says `needs rank auto`. */
export function inApiTerms(text: string): string {
  return text.replace(
    /(^|[\s(`"])--([a-z][a-z0-9-]*)/g,
    (_, before, flag) => before + flag.replaceAll("-", "_"),
  );
}

/** `--activation-checkpointing --batch-size 4` as fields with their values. */
export function flagsAsFields(flags: string): Record<string, unknown> {
  const fields = flags.split(/(?:^|\s+)--/).filter(Boolean).map((flag) => {
    const [name, value] = flag.split(" ");
    return [name.replaceAll("-", "_"), value === undefined ? true : JSON.parse(value)];
  });
  return Object.fromEntries(fields);
}

/** A JSON schema that describes itself. */
export interface FieldSchema {
  readonly description: string;
  readonly default?: unknown;
  /** The heading that it stands under. */
  readonly "x-section"?: unknown;
  /** Of the field that chooses a method: what each of them is. */
  readonly "x-methods"?: unknown;
  /** Of a union. */
  readonly anyOf?: object[];
}

/** A field's JSON schema, its description as a client of the API would have it. */
export function documentField(field: z.core.$ZodType): FieldSchema {
  const json = z.toJSONSchema(field, { io: "input" }) as Record<string, unknown>;
  // What the command line's help alone has use of.
  const { $schema: _, value: _value, choices: _choices, section, derived, methods, ...rest } = json;
  const text = [rest.description, derived && `default: ${derived}`].filter(Boolean).join("; ");
  // Forms made of the document put together what belongs together.
  return {
    ...rest,
    description: inApiTerms(text),
    "x-section": section,
    ...(methods ? { "x-methods": documentMethods(methods as Methods) } : undefined),
  };
}

type Methods = Readonly<Record<string, DescribedMethod>>;

/** The rows of the table of methods that a client may show beside the choice. */
function documentMethods(methods: Methods) {
  return Object.entries(methods).map(([name, { title, description, rankOption }]) => ({
    name,
    title,
    description,
    ...(rankOption ? { rank_option: snakeCase(rankOption) } : undefined),
  }));
}
