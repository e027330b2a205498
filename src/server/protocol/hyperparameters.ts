/**
 * Hyperparameters as requests spell them: the options of a run in snake_case, made of the very
 * fields that the command line is made of, and what OpenAI calls some of them. An option that is
 * added there is taken, checked and documented here.
 *
 * @module
 */
import { z } from "@hono/zod-openapi";
import { joinPhrases, spell } from "../../options/phrase.ts";
import { finetuneOptions } from "../../train/finetune_options.ts";
import { pretrainOptions } from "../../train/options.ts";
import { describeFault, type Fault, OptionsError } from "../../options/faults.ts";
import { ApiError } from "../api_error.ts";
import { snakeCase } from "../../text.ts";
import { documentField, type FieldSchema, REQUEST } from "./spelling.ts";

/** Where data lies, where results go and what the machine has is not for a request to say. */
const SERVER_DECIDES = new Set([
  "model",
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
  "overwriteOutput",
  "resume",
]);

/** Options that are fields of the request itself. */
const BESIDE = new Set(["seed"]);

type Values = Readonly<Record<string, unknown>>;

/** What the options need beside hyperparameters; of paths it only counts that they are there. */
export interface Beside {
  readonly model: string;
  readonly data: readonly string[];
  readonly evalData?: readonly string[];
  readonly tokenizer?: string;
  readonly seed?: number;
}

export interface ReadHyperparameters<Parsed> {
  /** Everything that the run would go by. */
  readonly options: Parsed;
  /** The same without what the server decides, and without what this method has no use of. */
  readonly kept: Values;
  /** `lr` over the rate that the method has when nobody says otherwise. */
  readonly rateMultiplier: number;
}

/** OpenAI's spellings, each a number or `auto`, and the options that they stand for. */
const OPENAI_ALIASES = { n_epochs: "epochs", batch_size: "batchSize" } as const;
const MULTIPLIER = "learning_rate_multiplier";

const OPENAI_FIELDS: Record<string, FieldSchema> = {
  n_epochs: {
    anyOf: [{ type: "number", exclusiveMinimum: 0 }, { type: "string", enum: ["auto"] }],
    description: "passes over the examples, as `epochs`",
    default: "auto",
  },
  [MULTIPLIER]: {
    anyOf: [{ type: "number", exclusiveMinimum: 0 }, { type: "string", enum: ["auto"] }],
    description: "times the method's default learning rate; instead of `lr`",
    default: "auto",
  },
};

/** JSON schemas, as the document's types have them. */
type Properties = NonNullable<Parameters<z.ZodType["openapi"]>[1]>["properties"];

/** Of `defineOptions`, what is needed here. */
interface RunOptions<Parsed> {
  readonly fields: z.ZodRawShape;
  parse(input: unknown): Parsed;
}

/** The hyperparameters of a kind of job. */
export class Hyperparameters<Parsed extends { lr: number }> {
  /** By their spelling here. */
  readonly #options: ReadonlyMap<string, string>;
  readonly #run: RunOptions<Parsed>;
  readonly #openai: boolean;
  /** Any object: `read` tells what is wrong with it. The document has every field. */
  readonly schema: z.ZodType<Record<string, unknown>>;

  constructor(name: string, run: RunOptions<Parsed>, { openai }: { readonly openai: boolean }) {
    const options = Object.keys(run.fields)
      .filter((option) => !SERVER_DECIDES.has(option) && !BESIDE.has(option));
    this.#run = run;
    this.#openai = openai;
    this.#options = new Map(options.map((option) => [snakeCase(option), option]));
    const own = Object.fromEntries(
      options.map((option) => [snakeCase(option), documentField(run.fields[option])]),
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
   * Checks them all, with the rules between them. Throws an {@link ApiError} 400 that has every
   * fault; its `param` is the first, below `place`.
   */
  read(input: Values, beside: Beside, place: string): ReadHyperparameters<Parsed> {
    const spelled = new Map<string, string>();
    const { given, multiplier, faults } = this.#translate(input, spelled);
    const fixed = { ...beside, output: "-" };
    const parse = (values: Values) => {
      const { options, faults: found } = this.#parse({ ...values, ...fixed });
      // Named as the request names them.
      const name = (option: string) => spelled.get(option) ?? snakeCase(option);
      faults.push(...found.map((fault) => ({ ...fault, option: name(fault.option) })));
      return options;
    };
    const { lr, ...rest } = given;
    const usual = parse(multiplier === undefined ? given : rest);
    const options = usual && multiplier !== undefined
      ? parse({ ...rest, lr: multiplier * usual.lr })
      : usual;
    if (faults.length || !options) throw refusal(faults, place);
    const usualRate = lr === undefined ? usual!.lr : parse(rest)!.lr;
    return {
      options,
      kept: this.#applicable(options as unknown as Values, fixed),
      rateMultiplier: multiplier ?? options.lr / usualRate,
    };
  }

  /** Kept options as an answer shows them. */
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
    if (decided) return { option: name, message: "is no hyperparameter: the server decides it" };
    if (BESIDE.has(name)) {
      return { option: name, message: "is a field of the request itself, beside the model" };
    }
    return { option: name, message: "unknown hyperparameter", near: [name, this.names] };
  }

  #parse(values: Values): { options?: Parsed; faults: readonly Fault[] } {
    try {
      return { options: this.#run.parse(values), faults: [] };
    } catch (error) {
      if (error instanceof OptionsError) return { faults: error.faults };
      throw error;
    }
  }

  /** Without those that the rules would refuse had they been said: LoRA's rank without LoRA. */
  #applicable(options: Values, fixed: Values): Values {
    const kept = Object.fromEntries(
      [...this.#options.values()].filter((option) => options[option] !== undefined)
        .map((option) => [option, options[option]]),
    );
    for (const { option } of this.#parse({ ...kept, ...fixed }).faults) delete kept[option];
    return kept;
  }
}

/** 400 with every fault, its `param` the first. */
function refusal(faults: readonly Fault[], place: string): ApiError {
  // What stands beside the hyperparameters is named as it stands there.
  const placeOf = ({ option }: Fault) => BESIDE.has(option) ? option : `${place}.${option}`;
  const described = faults.map((fault) => describeFault({ ...fault, place: placeOf(fault) }));
  return new ApiError(400, {
    message: spell(joinPhrases(described, "; "), REQUEST),
    param: placeOf(faults[0]),
    code: "invalid_hyperparameters",
  });
}

function twice(first: string, second: string): Fault {
  return { option: second, message: `says the same as ${first}: give one of them` };
}

function withOpenAi(properties: Record<string, FieldSchema>): Record<string, FieldSchema> {
  const { batch_size, ...rest } = properties;
  const { description, default: usual, ...number } = batch_size;
  return {
    ...OPENAI_FIELDS,
    batch_size: {
      anyOf: [number, { type: "string", enum: ["auto"] }],
      description,
      default: usual,
    },
    ...rest,
  };
}

const show = (value: unknown) => typeof value === "string" ? value : JSON.stringify(value);

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
