/** Variables, and where output goes, while a template renders. */
import type { Value } from "./values.ts";

/** Text that grows. */
export class Output {
  text = "";
}

/** A range of the output's UTF-16 units: [start, end). */
export type Range = readonly [start: number, end: number];

/** What was written while a loop was at an item. */
export interface Written {
  readonly item: object;
  readonly start: number;
  readonly end: number;
}

/** One rendering. */
export class Rendering {
  readonly main = new Output();
  /** The main output, or that of a macro or block whose text becomes a value. */
  out = this.main;
  /** The line being rendered, for messages. */
  line = 1;
  /** What was written between `{% generation %}` and its end. */
  readonly generated: Range[] = [];
  /** In order; of the outermost loops over watched items only. */
  readonly written: Written[] = [];
  #isInside = false;

  constructor(
    /** Items of which {@link written} is kept. */
    readonly watched: ReadonlySet<unknown>,
  ) {}

  /** Runs with an output of its own, and returns its text. */
  capture(run: () => void): string {
    const outer = this.out, inner = this.out = new Output();
    try {
      run();
    } finally {
      this.out = outer;
    }
    return inner.text;
  }

  /** Runs the body of a loop for an item. */
  at<T>(item: Value, run: () => T): T {
    const { main } = this;
    if (this.#isInside || this.out !== main || !this.watched.has(item)) return run();
    const start = main.text.length;
    this.#isInside = true;
    const result = run();
    this.#isInside = false;
    if (main.text.length > start) {
      this.written.push({ item: item as object, start, end: main.text.length });
    }
    return result;
  }

  /** Runs the body of a generation block. */
  generate(run: () => void): void {
    if (this.out !== this.main) {
      // The text will be printed by whoever asked for it: its place is found by the marks.
      this.out.text += BEGINS;
      run();
      this.out.text += ENDS;
      return;
    }
    const start = this.main.text.length;
    run();
    this.generated.push([start, this.main.text.length]);
  }

  print(text: string): void {
    if (this.out !== this.main || !text.includes(BEGINS)) {
      this.out.text += text;
      return;
    }
    let begins = 0;
    for (const part of text.split(MARKS)) {
      if (part === BEGINS) begins = this.main.text.length;
      else if (part === ENDS) this.generated.push([begins, this.main.text.length]);
      else this.main.text += part;
    }
  }
}

/** Noncharacters of Unicode, which no text contains. */
const BEGINS = "\ufdd0", ENDS = "\ufdd1", MARKS = /([\ufdd0\ufdd1])/;

export class Scope {
  readonly variables = new Map<string, Value>();

  constructor(readonly rendering: Rendering, readonly outer: Scope | null) {}

  /** JavaScript's undefined if there is none. */
  get(name: string): Value | undefined {
    // deno-lint-ignore no-this-alias
    for (let scope: Scope | null = this; scope !== null; scope = scope.outer) {
      const value = scope.variables.get(name);
      if (value !== undefined) return value;
    }
  }

  set(name: string, value: Value): void {
    this.variables.set(name, value);
  }

  inner(): Scope {
    return new Scope(this.rendering, this);
  }
}
