/** Macros, and the bodies of call blocks. */
import { typeError } from "./errors.ts";
import type { Evaluate } from "./compile_expression.ts";
import type { Scope } from "./scope.ts";
import { Dict } from "./dict.ts";
import { Callable, type Keywords, Tuple, Undefined, type Value } from "./values.ts";

export interface MacroParts {
  readonly name: string;
  readonly names: readonly string[];
  /** Of the last names. */
  readonly defaults: readonly Evaluate[];
  /** Special variables that the body uses; others of their kind are refused. */
  readonly uses: ReadonlySet<string>;
  /** Writes the body. */
  readonly write: (scope: Scope) => void;
}

export function makeMacro(parts: MacroParts, defined: Scope): Callable {
  const { name, names, uses } = parts;
  return new Callable(name, (args, keywords) => invoke(parts, defined, args, keywords), {
    name,
    arguments: new Tuple(names),
    catch_kwargs: uses.has("kwargs"),
    catch_varargs: uses.has("varargs"),
    caller: uses.has("caller"),
  });
}

function invoke(
  { name, names, defaults, uses, write }: MacroParts,
  defined: Scope,
  args: readonly Value[],
  keywords: Keywords,
): string {
  const scope = defined.inner(), left = new Map(keywords);
  const given = names.map((parameter, index): Value | undefined => {
    if (index < args.length) return args[index];
    const value = left.get(parameter);
    left.delete(parameter);
    return value;
  });
  if (uses.has("caller") && !names.includes("caller")) {
    scope.set("caller", left.get("caller") ?? new Undefined("No caller defined"));
    left.delete("caller");
  }
  if (uses.has("kwargs")) scope.set("kwargs", new Dict(left));
  else if (left.size > 0) {
    throw typeError(`macro '${name}' takes no keyword argument '${[...left.keys()][0]}'`);
  }
  if (uses.has("varargs")) scope.set("varargs", new Tuple(args.slice(names.length)));
  else if (args.length > names.length) {
    throw typeError(`macro '${name}' takes not more than ${names.length} argument(s)`);
  }
  const firstDefault = names.length - defaults.length;
  names.forEach((parameter, index) => {
    const value = given[index] ?? null;
    if (given[index] !== undefined) scope.set(parameter, value);
    else if (index >= firstDefault) scope.set(parameter, defaults[index - firstDefault](scope));
    else scope.set(parameter, new Undefined(`parameter '${parameter}' was not provided`));
  });
  return scope.rendering.capture(() => write(scope));
}
