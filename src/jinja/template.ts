/**
 * Jinja templates as transformers renders them: Jinja 3.1's language in its immutable sandbox, with
 * Python's values, `tojson` as transformers defines it, `break` and `continue`, and
 * `{% generation %}`. Refused by name: other templates (`include`, `extends`, …), `autoescape`, the
 * filters `pprint`, `random` and `urlize`, and bytes; no chat template has a use for them.
 */
import { compile, type Run } from "./compile.ts";
import { GLOBALS } from "./globals.ts";
import { parse } from "./parse.ts";
import { type Range, Rendering, Scope, type Written } from "./scope.ts";
import { lift, type Value } from "./values.ts";

export type { Range, Written };

export interface Rendered {
  readonly text: string;
  /** What was written between `{% generation %}` and its end: [start, end) in `text`. */
  readonly generated: readonly Range[];
  /** What was written while a loop was at one of the watched items, in order. */
  readonly written: readonly Written[];
}

export interface RenderInputs {
  /** Values as JSON has them, and {@link Callable}s. */
  readonly variables: Readonly<Record<string, unknown>>;
  /** Objects in the variables; loops over them are noted in {@link Rendered.written}. */
  readonly watched?: Iterable<object>;
}

/** Where rendering failed. */
export class FailedAt extends Error {
  constructor(
    /** From 1. */
    readonly line: number,
    /** What was thrown. */
    override readonly cause: unknown,
  ) {
    super((cause as Error).message);
  }
}

export class Template {
  /** Whether it has `{% generation %}`. */
  readonly marksGeneration: boolean;
  readonly #run: Run;

  /** Throws a {@link TemplateSyntaxError}. */
  constructor(source: string) {
    const statements = parse(source);
    this.marksGeneration = statements.some(hasGeneration);
    this.#run = compile(statements);
  }

  /** Throws {@link FailedAt}. */
  render({ variables, watched = [] }: RenderInputs): Rendered {
    const rendering = new Rendering(new Set(watched));
    const globals = new Scope(rendering, null);
    for (const [name, value] of GLOBALS) globals.set(name, value as Value);
    const scope = globals.inner();
    for (const [name, value] of Object.entries(variables)) scope.set(name, lift(value));
    try {
      this.#run(scope.inner());
    } catch (error) {
      throw new FailedAt(rendering.line, error);
    }
    const { main, generated, written } = rendering;
    return { text: main.text, generated, written };
  }
}

/** Looks into every part of the tree. */
function hasGeneration(part: unknown): boolean {
  if (typeof part !== "object" || part === null) return false;
  if ("kind" in part && part.kind === "generation") return true;
  return Object.values(part).some(hasGeneration);
}
