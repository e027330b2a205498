/** The methods of a comparison: of each, the options of its runs. */
import { type Data, dataNames } from "../data/data.ts";
import { type Fault, OptionsError } from "../options/faults.ts";
import { option, type Phrase, phrase } from "../options/phrase.ts";
import { wasGiven, withDefaults } from "../options/schema.ts";
import type { MethodName } from "../train/methods.ts";
import { effective } from "../train/effect.ts";
import { KINDS, type Values } from "./kinds.ts";
import { methodFault, readMethod } from "./method_text.ts";
import type { ComparedKind, CompareOptions } from "./options.ts";

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

/** What was given for all runs. */
export function sharedOptions(kind: ComparedKind, options: CompareOptions): Values {
  const { run } = KINDS[kind];
  const given = Object.entries(options).filter(([name, value]) =>
    name in run.fields && name !== "output" && name !== "overwriteOutput" &&
    value !== undefined && wasGiven(options, name)
  );
  return { ...Object.fromEntries(given), steps: Number(options.steps) };
}

/** What a run of a comparison does where nothing was given. */
function defaultsOf(steps: number): Values {
  return { evalEvery: Math.max(1, Math.round(steps / EVALUATIONS)), keepCheckpoints: 1 };
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

/** The options of one run of a method. */
export function runOptions(
  kind: ComparedKind,
  { optimizer, options }: Pick<ComparedMethod, "optimizer" | "options">,
  change: Values,
): Values {
  const run = KINDS[kind].run.parse({ ...options, optimizer, ...change });
  const left = Object.entries(defaultsOf(Number(run.steps)))
    .filter(([name]) => !wasGiven(run, name));
  return withDefaults(run, Object.fromEntries(left));
}
