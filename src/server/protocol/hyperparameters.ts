/**
 * Hyperparameters as requests spell them: the options of a run in snake_case, derived from the same
 * fields as the command line, plus OpenAI's aliases, and what a launcher is told on a command line. An
 * option added there is accepted, validated and documented here.
 *
 * @module
 */
import { z } from "../../packages/zod_openapi.ts";
import { joinPhrases, option, phrase, spell } from "../../options/phrase.ts";
import { defineOptions, described, section } from "../../options/schema.ts";
import { finetuneOptions } from "../../train/finetune_options.ts";
import { pretrainOptions } from "../../train/options.ts";
import { RANK_RULES, ranks } from "../../train/parallel_fields.ts";
import { describeFault, type Fault, OptionsError } from "../../options/faults.ts";
import { ApiError } from "../api_error.ts";
import { quoted, shortened, snakeCase } from "../../text.ts";
import { documentField, type FieldSchema, REQUEST } from "./spelling.ts";

/** Paths and machine limits, which a request must not set. */
const SERVER_DECIDES = new Set([
  "model",
  "from",
  "adapter",
  "data",
  "dataset",
  "datasetDir",
  "evalData",
  "evalDataset",
  "tokenizer",
  "preview",
  "output",
  "keepCheckpoints",
  "gpuMemory",
  "tune",
  "overwriteOutput",
  "resume",
]);

/** Options that are top-level fields of the request. */
const BESIDE = new Set(["seed"]);

/** What is no option of a run: who starts it decides. */
const OF_A_JOB = defineOptions({
  fields: section("Several processes", {
    ranks: ranks.meta(described(
      phrase`processes that train the job together, each on a worker of its own, and with ${
        option("batchSize")
      } and ${option("gradientAccumulation")} of its own`,
    )),
  }),
});

type Values = Readonly<Record<string, unknown>>;

/** What the options need besides hyperparameters; of paths only the presence matters. */
export interface Beside {
  readonly model?: string;
  readonly from?: string;
  readonly data: readonly string[];
  readonly evalData?: readonly string[];
  readonly tokenizer?: string;
  readonly seed?: number;
}

export interface ReadHyperparameters<Parsed> {
  /** All options of the run. */
  readonly options: Parsed;
  /** The same without what the server decides or the method does not use. */
  readonly kept: Values;
  /** `lr` divided by the method's default. */
  readonly rateMultiplier: number;
  /** Processes that train together. */
  readonly ranks: number;
}

/** OpenAI's names, each a number or `auto`, and their options. */
const OPENAI_ALIASES = { n_epochs: "epochs", batch_size: "batchSize" } as const;
const MULTIPLIER = "learning_rate_multiplier";

const OPENAI_FIELDS: Record<string, FieldSchema> = {
  n_epochs: {
    anyOf: [{ type: "number", exclusiveMinimum: 0 }, { type: "string", enum: ["auto"] }],
    description: "passes over the examples, as `epochs`",
    "x-default": "auto",
  },
  [MULTIPLIER]: {
    anyOf: [{ type: "number", exclusiveMinimum: 0 }, { type: "string", enum: ["auto"] }],
    description: "multiplies the method's default learning rate; instead of `lr`",
    "x-default": "auto",
  },
};

/** JSON schemas, as the document's types have them. */
type Properties = NonNullable<Parameters<z.ZodType["openapi"]>[1]>["properties"];

/** The part of `defineOptions`' result that is needed here. */
interface RunOptions<Parsed> {
  readonly fields: z.ZodRawShape;
  parse(input: unknown): Parsed;
}

/** The hyperparameters of a kind of job. */
export class Hyperparameters<Parsed extends { lr: number }> {
  /** Option names by their names in requests. */
  readonly #options: ReadonlyMap<string, string>;
  readonly #run: RunOptions<Parsed>;
  readonly #openai: boolean;
  /** Accepts any object, which `read` validates. The document lists every field. */
  readonly schema: z.ZodType<Record<string, unknown>>;

  constructor(name: string, run: RunOptions<Parsed>, { openai }: { readonly openai: boolean }) {
    const fields = { ...run.fields, ...OF_A_JOB.fields };
    const options = Object.keys(fields)
      .filter((option) => !SERVER_DECIDES.has(option) && !BESIDE.has(option));
    this.#run = run;
    this.#openai = openai;
    this.#options = new Map(options.map((option) => [snakeCase(option), option]));
    const own = Object.fromEntries(
      options.map((option) => [snakeCase(option), documentField(fields[option])]),
    );
    this.schema = z.record(z.string(), z.unknown()).openapi(name, {
      type: "object",
      properties: (openai ? withOpenAi(own) : own) as Properties,
      additionalProperties: false,
    });
  }

  get names(): string[] {
    return [...this.#options.keys(), ...(this.#openai ? Object.keys(OPENAI_FIELDS) : [])];
  }

  /**
   * Validates them all, with the rules between them. Throws an {@link ApiError} 400 with every
   * fault, whose `param` is the first one, below `place`.
   */
  read(input: Values, beside: Beside, place: string): ReadHyperparameters<Parsed> {
    const spelled = new Map<string, string>();
    const { given: { ranks: asked, ...given }, multiplier, faults } = this.#translate(
      input,
      spelled,
    );
    const fixed = { ...beside, output: "-" };
    const add = (found: readonly Fault[]) => {
      // Use the request's names.
      const name = (option: string) => spelled.get(option) ?? snakeCase(option);
      faults.push(...found.map((fault) => ({ ...fault, option: name(fault.option) })));
    };
    const parse = (values: Values) => {
      const { options, faults: found } = parsed(this.#run, { ...values, ...fixed });
      add(found);
      return options;
    };
    const { lr, ...rest } = given;
    const usual = parse(multiplier === undefined ? given : rest);
    const options = usual && multiplier !== undefined
      ? parse({ ...rest, lr: multiplier * usual.lr })
      : usual;
    const { options: ofJob, faults: wrong } = parsed(OF_A_JOB, { ranks: asked });
    add(wrong);
    if (ofJob) add(RANK_RULES.flatMap((rule) => rule({ ...options, ...ofJob }, given) ?? []));
    if (faults.length || !options || !ofJob) throw refusal(faults, place);
    const usualRate = lr === undefined ? usual!.lr : parse(rest)!.lr;
    return {
      options,
      kept: this.#applicable(options as unknown as Values, fixed),
      rateMultiplier: multiplier ?? options.lr / usualRate,
      ...ofJob,
    };
  }

  /** Kept options as a response shows them. */
  show(kept: Values): Record<string, unknown> {
    return Object.fromEntries(
      [...this.#options].filter(([, option]) => kept[option] !== undefined)
        .map(([name, option]) => [name, kept[option]]),
    );
  }

  #translate(input: Values, spelled: Map<string, string>) {
    const faults: Fault[] = [], given: Record<string, unknown> = {};
    let multiplier: number | undefined;
    for (const [name, value] of Object.entries(input)) {
      if (value === null || value === undefined) continue;
      const alias = this.#openai && Object.hasOwn(OPENAI_ALIASES, name)
        ? OPENAI_ALIASES[name as keyof typeof OPENAI_ALIASES]
        : undefined;
      const option = alias ?? this.#options.get(name);
      if (this.#openai && (alias || name === MULTIPLIER) && value === "auto") continue;
      if (this.#openai && name === MULTIPLIER) {
        if (typeof value === "number" && value > 0) multiplier = value;
        else faults.push({ option: name, message: `must be above 0 or auto, got ${show(value)}` });
      } else if (!option) {
        faults.push(this.#unknown(name));
      } else if (spelled.has(option)) {
        faults.push(twice(spelled.get(option)!, name));
      } else {
        spelled.set(option, name);
        given[option] = value;
      }
    }
    if (multiplier !== undefined) {
      if (given.lr !== undefined) faults.push(twice("lr", MULTIPLIER));
      spelled.set("lr", MULTIPLIER);
    }
    return { given, multiplier, faults };
  }

  #unknown(name: string): Fault {
    const decided = [...SERVER_DECIDES].some((option) => snakeCase(option) === name);
    if (decided) return { option: name, message: "is not a hyperparameter: the server sets it" };
    if (BESIDE.has(name)) {
      return { option: name, message: "is a field of the request itself, next to model" };
    }
    return { option: name, message: "unknown hyperparameter", near: [name, this.names] };
  }

  /** Drops defaults that the rules would refuse if given: LoRA's rank without LoRA. */
  #applicable(options: Values, fixed: Values): Values {
    const kept = Object.fromEntries(
      [...this.#options.values()].filter((option) => options[option] !== undefined)
        .map((option) => [option, options[option]]),
    );
    for (const { option } of parsed(this.#run, { ...kept, ...fixed }).faults) delete kept[option];
    return kept;
  }
}

function parsed<Parsed>(
  options: Pick<RunOptions<Parsed>, "parse">,
  values: Values,
): { readonly options?: Parsed; readonly faults: readonly Fault[] } {
  try {
    return { options: options.parse(values), faults: [] };
  } catch (error) {
    if (error instanceof OptionsError) return { faults: error.faults };
    throw error;
  }
}

/** What does not suit the model of a request is refused like what does not suit the rest of it. */
export function asHyperparameters<Result>(place: string, decide: () => Result): Result {
  try {
    return decide();
  } catch (error) {
    if (!(error instanceof OptionsError)) throw error;
    const named = (fault: Fault) => ({ ...fault, option: snakeCase(fault.option) });
    throw refusal(error.faults.map(named), place);
  }
}

/** 400 with every fault; its `param` is the first. */
function refusal(faults: readonly Fault[], place: string): ApiError {
  // Top-level fields keep their own names.
  const placeOf = ({ option }: Fault) => BESIDE.has(option) ? option : `${place}.${option}`;
  const described = faults.map((fault) => describeFault({ ...fault, place: placeOf(fault) }));
  return new ApiError(400, {
    message: spell(joinPhrases(described, "; "), REQUEST),
    param: placeOf(faults[0]),
    code: "invalid_hyperparameters",
  });
}

function twice(first: string, second: string): Fault {
  return { option: second, message: `means the same as ${first}: keep only one` };
}

function withOpenAi(properties: Record<string, FieldSchema>): Record<string, FieldSchema> {
  const { batch_size, ...rest } = properties;
  const { description, "x-default": usual, ...number } = batch_size;
  return {
    ...OPENAI_FIELDS,
    batch_size: {
      anyOf: [number, { type: "string", enum: ["auto"] }],
      description,
      "x-default": usual,
    },
    ...rest,
  };
}

const show = (value: unknown) => typeof value === "string" ? shortened(value) : quoted(value);

export const finetuneHyperparameters = new Hyperparameters(
  "FineTuningHyperparameters",
  finetuneOptions,
  { openai: true },
);

export const pretrainHyperparameters = new Hyperparameters(
  "PretrainingHyperparameters",
  pretrainOptions,
  { openai: false },
);
