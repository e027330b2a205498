/** The variable `loop`. */
import { equals } from "./compare.ts";
import { typeError } from "./errors.ts";
import { Callable, Tuple, Undefined, type Value } from "./values.ts";

/** Renders the body of a recursive loop over other items. */
export type Recurse = (items: Value, depth: number) => string;

export class Loop extends Callable {
  /** From 0. */
  index = 0;
  #changed: Tuple | undefined;

  constructor(
    readonly items: readonly Value[],
    readonly depth: number,
    recurse: Recurse | null,
  ) {
    super("loop", ([children]) => {
      if (!recurse) {
        throw typeError("The loop must have the 'recursive' marker to be called recursively.");
      }
      return recurse(children, depth + 1);
    });
  }

  override attribute(name: string): Value | undefined {
    const { items, index } = this, count = items.length;
    switch (name) {
      case "index":
        return index + 1;
      case "index0":
        return index;
      case "revindex":
        return count - index;
      case "revindex0":
        return count - index - 1;
      case "first":
        return index === 0;
      case "last":
        return index === count - 1;
      case "length":
        return count;
      case "depth":
        return this.depth;
      case "depth0":
        return this.depth - 1;
      case "previtem":
        return index > 0 ? items[index - 1] : new Undefined("there is no previous item");
      case "nextitem":
        return index + 1 < count ? items[index + 1] : new Undefined("there is no next item");
      case "cycle":
        return new Callable(name, (args) => {
          if (args.length === 0) throw typeError("no items for cycling given");
          return args[index % args.length];
        });
      case "changed":
        return new Callable(name, (args) => {
          const values = new Tuple(args);
          if (this.#changed && equals(this.#changed, values)) return false;
          this.#changed = values;
          return true;
        });
    }
  }

  override repr(): string {
    return `<LoopContext ${this.index + 1}/${this.items.length}>`;
  }
}
