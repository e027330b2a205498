/** Spells options as in requests. */
import { z } from "../../packages/zod.ts";
import { joinPhrases, type Phrase, phrase, spell, type Spelling } from "../../options/phrase.ts";
import { FIELDS } from "../../options/spelling.ts";
import { snakeCase } from "../../text.ts";
import type { DescribedMethod } from "../../train/method_fields.ts";

/** Options that are a file's id here and a path elsewhere. */
const RENAMED: Readonly<Record<string, string>> = {
  data: "training_file",
  evalData: "validation_file",
};

/** Like {@link FIELDS}, but with the request's own field names. */
export const REQUEST: Spelling = {
  ...FIELDS,
  one: ({ option, value }) => FIELDS.one({ option: RENAMED[option] ?? option, value }),
};

/** A JSON schema with a description. */
export interface FieldSchema {
  readonly description: string;
  /**
   * The value that the server takes where none is given. Not `default`: clients that are generated
   * from the document send each `default`, and the server refuses options that do not apply.
   */
  readonly "x-default"?: unknown;
  /** Its heading. */
  readonly "x-section"?: unknown;
  /** Descriptions of the methods, on the field that chooses one. */
  readonly "x-methods"?: unknown;
  /** Alternatives of a union. */
  readonly anyOf?: object[];
}

/** A field's JSON schema, with its description in the API's terms. */
export function documentField(field: z.core.$ZodType): FieldSchema {
  const json = z.toJSONSchema(field, { io: "input" }) as Record<string, unknown>;
  // Drop what only the command line's help uses.
  const { $schema: _, value: _value, choices: _choices, proposals: _proposals, ...shown } = json;
  const { section, phrase: named, derived, methods, default: usual, ...rest } = shown;
  const texts = [named ?? rest.description, derived && phrase`default: ${derived as Phrase}`];
  const description = spell(joinPhrases(texts.filter(Boolean) as Phrase[], "; "), REQUEST);
  // Lets forms generated from the document group fields.
  return {
    ...rest,
    description,
    ...(usual === undefined ? undefined : { "x-default": usual }),
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
