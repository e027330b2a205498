/**
 * Defines options: fields of a zod schema and rules between them, with all faults reported at once.
 */
import { z } from "../packages/zod.ts";
import { type Fault, OptionsError } from "./faults.ts";
import { type Phrase, spell } from "./phrase.ts";
import { PROPERTIES } from "./spelling.ts";
import { quoted, shortened } from "../text.ts";

/**
 * A combination to refuse. `options` holds only individually valid options, with defaults; `given`
 * is the user's input, to distinguish choices from defaults.
 */
export type Rule = (
  options: Readonly<Record<string, unknown>>,
  given: Readonly<Record<string, unknown>>,
) => Fault | undefined;

/**
 * Options that can be parsed. `Parsed` and `Input` are interfaces that editors show field by field,
 * generated from the schema by `deno task options`. `in out`: the schema's inferred type must be
 * assignable both ways, or the definition does not compile.
 */
export interface Options<in out Parsed, in Input = Partial<Parsed>> {
  /** The zod schema of each option. */
  readonly fields: OptionFields;
  /**
   * Validates everything and fills in defaults. Options that have been parsed are returned as they
   * are, and copies of them keep the values of all options. Throws an {@link OptionsError} with all
   * faults.
   */
  parse<Given extends Input>(input: Only<Given, Input>): Parsed;
  /** The same for input of any kind: a file, a request. Data must be paths. */
  parseUnknown(input: unknown): Parsed;
}

/** What is given of some options: the required ones at least, lists perhaps readonly. */
export type Given<Parsed, Required extends keyof Parsed = never> =
  & { readonly [Name in keyof Parsed]?: ReadonlyList<Parsed[Name]> }
  & { readonly [Name in Required]: ReadonlyList<Parsed[Name]> };

/** A list that is not written to; other values as they are. */
export type ReadonlyList<Value> = Value extends (infer Item)[] ? readonly Item[] : Value;

/**
 * Options of which none may be unknown, also where the compiler would let one pass: in an object
 * that was not written at the call. `Input` comes first, for editors to explain its options.
 */
export type Only<Given extends Input, Input> =
  & Input
  & Given
  & {
    readonly [Name in Exclude<keyof Given, keyof Input>]: NoSuchOption<Name>;
  };

/** What an option would have to be that does not exist. */
export interface NoSuchOption<Name> {
  /** Its name. */
  readonly "is no option": Name;
}

/** Schemas by name, in the order of help texts. */
export type OptionFields = z.ZodRawShape;

type Inferred<Fields extends z.ZodRawShape, Derived> =
  & Omit<z.output<z.ZodObject<Fields>>, keyof Derived>
  & Derived;

/** Options that a program may give in memory, beside what their schema says of strings. */
const LIVE = z.registry<{ fault(value: unknown): string | undefined }>();

/**
 * An option that front ends give as strings, and a program also as something that JSON cannot hold.
 * `fault` says what is wrong with such a value.
 */
export function orLive<Field extends z.ZodType, Value>(
  field: Field,
  fault: (value: unknown) => string | undefined,
): LiveField<Field, Value> {
  const own = field.clone();
  LIVE.add(own, { fault });
  return own as unknown as LiveField<Field, Value>;
}

type LiveField<Field, Value> = Field extends z.ZodOptional ? z.ZodOptional<z.ZodType<Value>>
  : z.ZodType<Value>;

/** Whether an option may be given in memory. */
export function isLive(field: z.core.$ZodType): boolean {
  return LIVE.get(field)?.fault !== undefined;
}

function isStrings(value: unknown): boolean {
  return Array.isArray(value) && value.every((each) => typeof each === "string");
}

/** Which of the options that `parse` returned were given. */
const CHOSEN = new WeakMap<object, ReadonlySet<string>>();

/** Whether the user set this option of a parsed object; false for defaults, and of a copy. */
export function wasGiven(parsed: object, option: string): boolean {
  return CHOSEN.get(parsed)?.has(option) ?? false;
}

/** Whether this option of a parsed object is known to be a default. */
export function wasLeftOpen(parsed: object, option: string): boolean {
  return CHOSEN.get(parsed)?.has(option) === false;
}

/** By which options a parsed object was returned: it need not be parsed again. */
const PARSED = new WeakMap<object, object>();

/** Parsed options with other values: what was given counts as given still. */
export function withDefaults<Parsed extends object>(
  parsed: Parsed,
  defaults: Partial<Parsed>,
): Parsed {
  const changed = { ...parsed, ...defaults }, chosen = CHOSEN.get(parsed), by = PARSED.get(parsed);
  if (chosen) CHOSEN.set(changed, chosen);
  if (by) PARSED.set(changed, by);
  return changed;
}

/** Leaves out options that have their defaults, as if they had not been given. */
export function withoutDefaults(
  fields: OptionFields,
  given: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  const isDefault = (name: string, value: unknown) =>
    Object.hasOwn(fields, name) &&
    JSON.stringify(z.safeParse(fields[name], undefined).data) === JSON.stringify(value);
  return Object.fromEntries(Object.entries(given).filter((entry) => !isDefault(...entry)));
}

/** `derive` returns the options whose defaults depend on others. */
export function defineOptions<
  Fields extends z.ZodRawShape,
  Derived = Record<never, never>,
  Input = Partial<Inferred<Fields, Derived>>,
>(
  { fields, rules = [], derive }: {
    readonly fields: Fields;
    readonly rules?: readonly Rule[];
    readonly derive?: (options: z.output<z.ZodObject<Fields>>) => Derived;
  },
): Options<Inferred<Fields, Derived>, Input> {
  type Parsed = Inferred<Fields, Derived>;
  const usual = Object.keys(fields)
    .filter((name) => z.safeParse(fields[name], undefined).data !== undefined);
  const parse = (input: unknown, { inMemory }: { readonly inMemory: boolean }): Parsed => {
    const given = { ...(input as Record<string, unknown>) };
    const { options, faults } = parseFields(fields, given, inMemory);
    // A copy of parsed options has all of them: what was chosen is not known any more.
    const isCopy = inMemory && usual.length > 0 && usual.every((name) => given[name] !== undefined);
    for (const rule of isCopy ? [] : rules) {
      const fault = rule(options, given);
      // An option that is no value at all is not judged beside others.
      if (fault && !faults.some(({ option }) => option === fault.option)) faults.push(fault);
    }
    if (faults.length) throw new OptionsError(faults);
    const derived = isCopy ? given : derive?.(options as z.output<z.ZodObject<Fields>>);
    const parsed = { ...options, ...derived };
    PARSED.set(parsed, fields);
    const chosen = Object.keys(given).filter((name) => given[name] !== undefined);
    if (!isCopy) CHOSEN.set(parsed, new Set(chosen));
    return parsed as Parsed;
  };
  return {
    fields,
    parseUnknown: (input) => parse(input, { inMemory: false }),
    parse: (input: object) =>
      PARSED.get(input) === fields ? input as Parsed : parse(input, { inMemory: true }),
  };
}

/**
 * Parses field by field, because an object's schema skips its refinements after the first invalid
 * field, but users should see all faults at once.
 */
function parseFields(
  fields: z.ZodRawShape,
  given: Readonly<Record<string, unknown>>,
  inMemory: boolean,
) {
  const options: Record<string, unknown> = {};
  const faults: Fault[] = [];
  for (const option of Object.keys(given)) {
    if (!Object.hasOwn(fields, option)) {
      faults.push({ option, message: "unknown option", near: [option, Object.keys(fields)] });
    }
  }
  for (const [option, field] of Object.entries(fields)) {
    const value = given[option];
    const live = inMemory ? LIVE.get(field) : undefined;
    if (live && value !== undefined && !isStrings(value)) {
      const message = live.fault(value);
      if (message) faults.push({ option, message });
      else options[option] = value;
      continue;
    }
    const result = z.safeParse(field, value);
    if (result.success) {
      if (result.data !== undefined) options[option] = result.data;
      continue;
    }
    for (const issue of distinct(result.error.issues)) {
      faults.push(describeIssue(option, issue, value));
    }
  }
  return { options, faults };
}

/** Reports a list with many invalid elements once, since each fault shows the whole list. */
function distinct(issues: readonly z.core.$ZodIssue[]): Iterable<z.core.$ZodIssue> {
  return new Map(issues.map((issue) => [`${issue.code} ${issue.message}`, issue])).values();
}

function describeIssue(option: string, issue: z.core.$ZodIssue, value: unknown): Fault {
  if (value === undefined) return { option, message: "is required" };
  // A program's "3" is no 3.
  const isPlain = typeof value === "string" && !(value.trim() && Number.isFinite(Number(value)));
  const got = `, got ${isPlain ? shortened(value) : quoted(value)}`;
  switch (issue.code) {
    case "invalid_value": {
      const known = issue.values.map(String);
      const near: Fault["near"] = typeof value === "string" ? [value, known] : undefined;
      return { option, message: `must be one of ${known.join(", ")}${got}`, near };
    }
    case "too_small": {
      const bound = issue.inclusive ? "at least" : "greater than";
      if (issue.origin === "string" || issue.origin === "array") {
        return { option, message: "must not be empty" };
      }
      return { option, message: `must be ${bound} ${issue.minimum}${got}` };
    }
    case "too_big":
      return { option, message: `must be at most ${issue.maximum}${got}` };
    case "not_multiple_of":
      return { option, message: `must be a multiple of ${issue.divisor}${got}` };
    case "invalid_type":
      return { option, message: `must be ${article(issue.expected)}${got}` };
    default:
      return { option, message: issue.message + got };
  }
}

function article(type: string): string {
  const names: Record<string, string> = { int: "a whole number", array: "a list" };
  return names[type] ?? `a ${type}`;
}

/** Marks fields with their heading in `--help`. */
export function section<Fields extends z.ZodRawShape>(title: string, fields: Fields): Fields {
  return Object.fromEntries(
    Object.entries(fields).map(([name, field]) => {
      const classic = field as z.ZodType;
      return [name, classic.meta({ ...classic.meta(), section: title })];
    }),
  ) as unknown as Fields;
}

/** `field.meta(described(phrase`…`))`: a description that names other options. */
export function described(phrase: Phrase): { description: string; phrase: Phrase } {
  return { description: spell(phrase, PROPERTIES), phrase };
}

/** What help texts and the command line need of a field, from its schema. */
export interface FieldInfo {
  readonly type: "number" | "integer" | "boolean" | "string" | "list";
  readonly description: Phrase;
  readonly section: string;
  /** Choices that `value` does not list, with descriptions. */
  readonly choices: readonly string[];
  readonly choiceName: string;
  readonly required: boolean;
  /** A former name: understood, but not shown. */
  readonly deprecated: boolean;
  /** The default as text, or how it is derived. */
  readonly default?: Phrase;
  /** Placeholder of the value in help. */
  readonly value: string;
}

const PLACEHOLDERS = { number: "x", integer: "n", boolean: "", string: "text", list: "…" };

/** Most characters for which the choices themselves serve as the placeholder. */
const MOST_LISTED = 80;

export function fieldInfo(field: z.core.$ZodType): FieldInfo {
  const { $schema: _, ...json } = z.toJSONSchema(field, { io: "input" }) as Record<string, unknown>;
  // Use the first type of a union (a number or a word).
  const named = json.type ?? (json.anyOf as { type: string }[])[0].type;
  const type = (named === "array" ? "list" : named) as FieldInfo["type"];
  const choices = ((json.enum ?? json.choices ?? []) as unknown[]).map(String);
  const joined = choices.join("|");
  const listed = json.enum && joined.length <= MOST_LISTED ? joined : undefined;
  return {
    type,
    description: (json.phrase ?? json.description ?? "") as Phrase,
    section: String(json.section ?? "Other"),
    choices: listed ? [] : choices,
    choiceName: json.enum ? "one of" : "presets",
    required: !z.safeParse(field, undefined).success,
    deprecated: json.deprecated === true,
    default: json.default === undefined ? json.derived as Phrase : String(json.default),
    value: String(json.value ?? listed ?? (json.enum ? "name" : PLACEHOLDERS[type])),
  };
}
