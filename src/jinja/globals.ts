/** Functions and classes that every template can use. */
import { builtin, indexIn } from "./builtin.ts";
import { RenderError, typeError, valueError } from "./errors.ts";
import { str } from "./repr.ts";
import { iterate } from "./containers.ts";
import { Dict, dictEntries, isDict } from "./dict.ts";
import { Callable, type Keywords, lift, Namespace, PyObject, Range, type Value } from "./values.ts";

/** The sandbox refuses longer ranges. */
const LONGEST_RANGE = 100_000;

function range(args: readonly Value[]): Range {
  if (args.length < 1 || args.length > 3) {
    throw typeError(`range expected 1 to 3 arguments, got ${args.length}`);
  }
  const [first, second, step = 1] = args.map((each) => indexIn(each, "range"));
  if (step === 0) throw valueError("range() arg 3 must not be zero");
  const made = args.length === 1 ? new Range(0, first, 1) : new Range(first, second, step);
  if (made.length <= LONGEST_RANGE) return made;
  throw new RenderError(
    "OverflowError",
    `Range too big. The sandbox blocks ranges larger than MAX_RANGE (${LONGEST_RANGE}).`,
  );
}

/** Entries as Python's `dict(…)` takes them: of a dict or of pairs, and by name. */
function entriesIn(args: readonly Value[], keywords: Keywords): (readonly [Value, Value])[] {
  const [source] = args;
  if (args.length > 1) throw typeError(`dict expected at most 1 argument, got ${args.length}`);
  const given = source === undefined
    ? []
    : isDict(source)
    ? dictEntries(source)
    : iterate(source).map((pair) => {
      const items = iterate(pair);
      if (items.length === 2) return [lift(items[0]), lift(items[1])] as const;
      throw valueError(
        `dictionary update sequence element has length ${items.length}; 2 is required`,
      );
    });
  return [...given, ...keywords];
}

function namespace(args: readonly Value[], keywords: Keywords): Namespace {
  const entries = entriesIn(args, keywords);
  return new Namespace(new Map(entries.map(([key, value]) => [str(key), value])));
}

class Cycler extends PyObject {
  readonly typeName = "Cycler";
  #position = 0;
  constructor(readonly items: readonly Value[]) {
    super();
    if (items.length === 0) {
      throw new RenderError("TypeError", "at least one item has to be provided");
    }
  }
  override attribute(name: string): Value | undefined {
    switch (name) {
      case "current":
        return this.items[this.#position];
      case "next":
        return new Callable(
          name,
          builtin(name, "", () => {
            const current = this.items[this.#position];
            this.#position = (this.#position + 1) % this.items.length;
            return current;
          }),
        );
      case "reset":
        return new Callable(
          name,
          builtin(name, "", () => {
            this.#position = 0;
            return null;
          }),
        );
    }
  }
}

/** Empty the first time, then the separator. */
function joiner(args: readonly Value[], keywords: Keywords): Value {
  const separator = args[0] ?? keywords.get("sep") ?? ", ";
  let used = false;
  return new Callable("joiner", () => used ? separator : (used = true, ""));
}

export const GLOBALS: ReadonlyMap<string, Value> = new Map<string, Value>([
  ["range", new Callable("range", range)],
  ["dict", new Callable("dict", (args, keywords) => new Dict(entriesIn(args, keywords)))],
  ["namespace", new Callable("namespace", namespace)],
  ["cycler", new Callable("cycler", (args) => new Cycler(args))],
  ["joiner", new Callable("joiner", joiner)],
]);
