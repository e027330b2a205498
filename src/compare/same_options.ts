/** Whether runs of an earlier sitting were made with what is asked for now. */
import { effective } from "../train/effect.ts";
import { KINDS, type Values } from "./kinds.ts";
import { readMethod } from "./method_text.ts";
import type { ComparedMethod } from "./methods.ts";
import type { ComparedKind } from "./options.ts";
import type { RunRecord } from "./record.ts";

/** What methods are asked for, with which options for all of them. */
export interface Asked {
  readonly kind: ComparedKind;
  /** As JSON can hold them. */
  readonly shared: Values;
  readonly methods: readonly Pick<ComparedMethod, "name" | "options">[];
}

/** An option with another value than that of a run. */
export interface Difference {
  readonly name: string;
  /** As JSON; undefined if it was not given. */
  readonly there?: string;
  readonly here?: string;
}

/**
 * The first option for all methods that a run had with another value, if it and one of the methods
 * asked for read it: what neither, or only one of them reads, does not make them unlike. Rates are
 * of each run.
 */
export function differenceOf(
  run: Pick<RunRecord, "method" | "options">,
  { kind, shared, methods }: Asked,
): Difference | undefined {
  const reads = ({ name, options }: Pick<ComparedMethod, "name" | "options">, option: string) => {
    const { optimizer, own } = readMethod(kind, name);
    const given = { ...options, [option]: shared[option] ?? run.options[option], optimizer };
    return !(option in own) && option in effective(KINDS[kind].effects, given);
  };
  for (const name of new Set([...Object.keys(run.options), ...Object.keys(shared)])) {
    const there = JSON.stringify(run.options[name]), here = JSON.stringify(shared[name]);
    if (there === here || name === "lr" || !reads({ ...run, name: run.method }, name)) continue;
    if (methods.some((method) => reads(method, name))) return { name, there, here };
  }
  return undefined;
}
