/** Options as requests name them. */
import { z } from "zod";
import { joinPhrases, type Phrase, phrase, spell, type Spelling } from "../../options/phrase.ts";
import { FIELDS } from "../../options/spelling.ts";
import { snakeCase } from "../../text.ts";
import type { DescribedMethod } from "../../train/method_fields.ts";

/** What is a file's id here and a path elsewhere. */
const RENAMED: Readonly<Record<string, string>> = {
  data: "training_file",
  evalData: "validation_file",
};

/** As {@link FIELDS}, with the fields of a request that have a name of their own. */
export const REQUEST: Spelling = {
  ...FIELDS,
  one: ({ option, value }) => FIELDS.one({ option: RENAMED[option] ?? option, value }),
};

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
  const { $schema: _, value: _value, choices: _choices, ...shown } = json;
  const { section, phrase: named, derived, methods, ...rest } = shown;
  const texts = [named ?? rest.description, derived && phrase`default: ${derived as Phrase}`];
  const description = spell(joinPhrases(texts.filter(Boolean) as Phrase[], "; "), REQUEST);
  // Forms made of the document put together what belongs together.
  return {
    ...rest,
    description,
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
