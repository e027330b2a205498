/** How filters and tests are declared and called. */
import { builtin, type Call } from "./builtin.ts";
import { RenderError } from "./errors.ts";
import type { Keywords, Value } from "./values.ts";

/** Calls filters and tests by name, for filters that take the name of another. */
export interface Named {
  filter(name: string, args: readonly Value[], keywords: Keywords): Value;
  test(name: string, args: readonly Value[], keywords: Keywords): Value;
}

/** Called with the value before the bar, or before `is`, as the first argument. */
export type Registered = (args: readonly Value[], keywords: Keywords, named: Named) => Value;

export type Registry = Record<string, Registered>;

// deno-lint-ignore no-explicit-any
export function plain(signature: string, run: (...values: any[]) => Value): Registered {
  const call: Call = builtin("filter", signature, run);
  return (args, keywords) => call(args, keywords);
}

export function namedBy(filters: Registry, tests: Registry): Named {
  const find = (registry: Registry, kind: string, name: string): Registered => {
    if (Object.hasOwn(registry, name)) return registry[name];
    throw new RenderError("TemplateRuntimeError", `No ${kind} named '${name}'.`);
  };
  const named: Named = {
    filter: (name, args, keywords) => find(filters, "filter", name)(args, keywords, named),
    test: (name, args, keywords) => find(tests, "test", name)(args, keywords, named),
  };
  return named;
}
