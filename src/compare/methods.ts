/** The methods of a comparison: of each, the options of its runs. */
import { type Data, dataNames } from "../data/data.ts";
import { type Fault, OptionsError } from "../options/faults.ts";
import { option, type Phrase, phrase } from "../options/phrase.ts";
import { fieldInfo, type OptionFields, type Options, wasGiven } from "../options/schema.ts";
import { camelCase, quoted } from "../text.ts";
import { finetuneOptions } from "../train/finetune_options.ts";
import { METHOD_NAMES, type MethodName, methodNamed } from "../train/methods.ts";
import {
  type Effect,
  effective,
  FINETUNE_EFFECTS,
  PRETRAIN_EFFECTS,
} from "../train/option_effects.ts";
import { pretrainOptions } from "../train/options.ts";
import {
  type ComparedKind,
  compareFinetuneOptions,
  type CompareOptions,
  comparePretrainOptions,
} from "./options.ts";

type Values = Readonly<Record<string, unknown>>;

/** A method as it takes part in a comparison. */
export interface ComparedMethod {
  /** As given: the method's name, and its own options. */
  readonly name: string;
  /** The method's name alone. */
  readonly optimizer: MethodName;
  /** What was given for its runs, and has an effect there. */
  readonly options: Readonly<Record<string, unknown>>;
  /** The learning rate that was given, or the method's usual one. */
  readonly lr: number;
  /** Whether it was given, so that no other is tried. */
  readonly lrGiven: boolean;
}

/** What differs between the two kinds of runs. */
interface Kind {
  readonly compared: { readonly fields: OptionFields };
  readonly run: Options<Values, Values>;
  readonly effects: readonly Effect[];
}

const asValues = (options: unknown) => options as Options<Values, Values>;
const KINDS: Readonly<Record<ComparedKind, Kind>> = {
  pretrain: {
    compared: comparePretrainOptions,
    run: asValues(pretrainOptions),
    effects: PRETRAIN_EFFECTS,
  },
  finetune: {
    compared: compareFinetuneOptions,
    run: asValues(finetuneOptions),
    effects: FINETUNE_EFFECTS,
  },
};

/** Evaluations of a run, where nothing else was asked for: enough for a curve. */
const EVALUATIONS = 10;

/**
 * The methods of a comparison. An option that belongs to some methods goes to those; it is refused if
 * it belongs to none of them. Throws an {@link OptionsError} with all faults.
 */
export function comparedMethods(kind: ComparedKind, options: CompareOptions): ComparedMethod[] {
  const faults: Fault[] = [], shared = sharedOptions(kind, options);
  if (options.steps === undefined) {
    faults.push({
      option: "steps",
      message: "is required: every method is trained for as many",
    });
    throw new OptionsError(faults);
  }
  const unused = new Map<string, Phrase>(), used = new Set<string>();
  const methods = options.methods.flatMap((name): ComparedMethod[] => {
    const { optimizer, own, fault } = readMethod(kind, name);
    if (fault) faults.push(fault);
    if (!optimizer) return [];
    const given = effectiveFor(kind, { ...shared, optimizer }, unused, used);
    const ownOptions = effectiveFor(kind, { ...given, ...own, optimizer }, new Map(), new Set());
    const idle = Object.keys(own).find((option) => !(option in ownOptions));
    if (ownOptions.rank === "auto") {
      faults.push(methodFault(
        name,
        phrase`${
          option("rank", "auto")
        } chooses by the first gradients of each seed: give a number, by
          which runs compare`,
      ));
    }
    if (idle !== undefined) {
      faults.push(
        methodFault(name, phrase`${needsOf(kind, idle, { ...given, ...own, optimizer })}`),
      );
    }
    try {
      const run = runOptions(kind, { optimizer, options: ownOptions }, { output: "-", seed: 0 });
      const lrGiven = ownOptions.lr !== undefined;
      return [{ name, optimizer, options: ownOptions, lr: run.lr as number, lrGiven }];
    } catch (error) {
      if (!(error instanceof OptionsError)) throw error;
      for (const fault of error.faults) {
        // What is wrong with all of them is said once.
        if (!faults.some((other) => JSON.stringify(other) === JSON.stringify(fault))) {
          faults.push(fault);
        }
      }
      return [];
    }
  });
  for (const [option, message] of unused) {
    if (!used.has(option)) faults.push({ option, message });
  }
  const twice = options.methods.find((name, at) => options.methods.indexOf(name) < at);
  if (twice !== undefined) faults.push(methodFault(twice, "is given twice"));
  if (faults.length) throw new OptionsError(faults);
  return methods;
}

/** What was given for all runs, and how often they are evaluated. */
export function sharedOptions(kind: ComparedKind, options: CompareOptions): Values {
  const { run } = KINDS[kind];
  const given = Object.entries(options).filter(([name, value]) =>
    name in run.fields && name !== "output" && name !== "overwriteOutput" &&
    value !== undefined && wasGiven(options, name)
  );
  const steps = Number(options.steps);
  return {
    evalEvery: Math.max(1, Math.round(steps / EVALUATIONS)),
    keepCheckpoints: 1,
    ...Object.fromEntries(given),
    steps,
  };
}

/** Options as JSON can hold them: data in memory by its description. */
export function serialisable(options: Values): Values {
  const named = (["data", "evalData"] as const).flatMap((name) =>
    options[name] === undefined ? [] : [[name, dataNames(options[name] as Data)]]
  );
  return { ...options, ...Object.fromEntries(named) };
}

/** Options that have an effect with a method; others are noted with what they need. */
function effectiveFor(
  kind: ComparedKind,
  given: Values,
  unused: Map<string, Phrase>,
  used: Set<string>,
): Values {
  const { optimizer: _, ...kept } = effective(KINDS[kind].effects, given);
  for (const option of Object.keys(given)) {
    if (option in kept) used.add(option);
    else if (option !== "optimizer" && !unused.has(option)) {
      unused.set(option, needsOf(kind, option, given));
    }
  }
  return kept;
}

function needsOf(kind: ComparedKind, option: string, given: Values): Phrase {
  const effect = KINDS[kind].effects.find((effect) =>
    effect.options.includes(option) && !effect.used(given, given)
  );
  return effect?.needs(given) ?? "has no effect";
}

/** Sections of options by which methods may differ; what the others say is held equal. */
const METHOD_SECTIONS = ["Optimizer", "LoRA"];
/** Beside these sections: how a method stores and schedules what it trains. */
const METHOD_OPTIONS = [
  "dtype",
  "activationCheckpointing",
  "activationQuant",
  "accumulatorQuant",
  "warmupSteps",
  "warmupRatio",
  "scheduler",
  "minLrRatio",
  "gpuMemory",
];

function isOfMethod(name: string, field: OptionFields[string]): boolean {
  return METHOD_OPTIONS.includes(name) || METHOD_SECTIONS.includes(fieldInfo(field).section);
}

/** `adamw:lr=0.002:no-fira` */
function readMethod(kind: ComparedKind, text: string): {
  optimizer?: MethodName;
  own: Values;
  fault?: Fault;
} {
  const [name, ...settings] = text.split(":");
  const optimizer = methodNamed(name);
  if (!optimizer) {
    const message = `${quoted(name)} is no method`;
    return { own: {}, fault: { option: "methods", message, near: [name, METHOD_NAMES] } };
  }
  const { run, compared } = KINDS[kind], own: Record<string, unknown> = {};
  const names = Object.keys(compared.fields).filter((name) =>
    name in run.fields && isOfMethod(name, compared.fields[name])
  );
  for (const setting of settings) {
    const [word, ...rest] = setting.split("="), value = rest.length ? rest.join("=") : undefined;
    const negated = word.startsWith("no-") && !names.includes(camelCase(word));
    const option = camelCase(negated ? word.slice("no-".length) : word);
    if (option in run.fields && !names.includes(option)) {
      return { optimizer, own, fault: methodFault(text, heldEqual(word, option, compared.fields)) };
    }
    if (!names.includes(option)) {
      const near = [option, names] as const;
      const message = `${text}: ${quoted(word)} is no option`;
      return { optimizer, own, fault: { option: "methods", message, near } };
    }
    own[option] = readValue(fieldInfo(compared.fields[option]).type, value, negated);
  }
  return { optimizer, own };
}

function heldEqual(word: string, name: string, fields: OptionFields): Phrase {
  const what = phrase`${quoted(word)} is the same for all methods`;
  const shared = name === "seed" ? "seeds" : name;
  return shared in fields ? phrase`${what}: give ${option(shared)} of the comparison` : what;
}

function readValue(type: string, value: string | undefined, negated: boolean): unknown {
  if (type === "boolean" && (value === undefined || value === "true" || value === "false")) {
    return (value !== "false") !== negated;
  }
  if (type === "list") return [value];
  const isNumber = (type === "number" || type === "integer") && value?.trim() !== "" &&
    Number.isFinite(Number(value));
  return isNumber ? Number(value) : value ?? null;
}

function methodFault(name: string, message: Phrase): Fault {
  return { option: "methods", message: phrase`${name}: ${message}` };
}

/** The options of one run of a method. */
export function runOptions(
  kind: ComparedKind,
  { optimizer, options }: Pick<ComparedMethod, "optimizer" | "options">,
  change: Values,
): Values {
  return KINDS[kind].run.parse({ ...options, optimizer, ...change });
}
