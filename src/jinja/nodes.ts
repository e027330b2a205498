/** The syntax tree of a template. Every node has the line that it begins on, from 1. */
import type { Operator } from "./arithmetic.ts";
import type { Order } from "./compare.ts";
import type { Value } from "./values.ts";

export interface Arguments {
  readonly positional: readonly Expression[];
  readonly keywords: readonly (readonly [name: string, value: Expression])[];
  /** `*list` and `**dict`. */
  readonly spread?: Expression;
  readonly keywordSpread?: Expression;
}

export type Comparison = Order | "eq" | "ne" | "in" | "notin";

export type Expression =
  & { readonly line: number }
  & (
    | { readonly kind: "constant"; readonly value: Value }
    | { readonly kind: "name"; readonly name: string }
    | { readonly kind: "list" | "tuple"; readonly items: readonly Expression[] }
    | { readonly kind: "dict"; readonly pairs: readonly (readonly [Expression, Expression])[] }
    | { readonly kind: "attribute"; readonly object: Expression; readonly name: string }
    | { readonly kind: "item"; readonly object: Expression; readonly key: Expression }
    | {
      readonly kind: "slice";
      readonly object: Expression;
      readonly start?: Expression;
      readonly stop?: Expression;
      readonly step?: Expression;
    }
    | { readonly kind: "call"; readonly callee: Expression; readonly arguments: Arguments }
    | {
      readonly kind: "filter" | "test";
      /** Absent in a filter block: the text of the block. */
      readonly value?: Expression;
      readonly name: string;
      readonly arguments: Arguments;
    }
    | { readonly kind: "unary"; readonly operator: "+" | "-" | "not"; readonly value: Expression }
    | {
      readonly kind: "binary";
      readonly operator: Operator;
      readonly left: Expression;
      readonly right: Expression;
    }
    | {
      readonly kind: "and" | "or";
      readonly left: Expression;
      readonly right: Expression;
    }
    | { readonly kind: "concat"; readonly items: readonly Expression[] }
    | {
      readonly kind: "compare";
      readonly first: Expression;
      readonly rest: readonly (readonly [Comparison, Expression])[];
    }
    | {
      readonly kind: "conditional";
      readonly test: Expression;
      readonly then: Expression;
      readonly otherwise?: Expression;
    }
  );

/** What a value can be assigned to. */
export type Target =
  | { readonly kind: "name"; readonly name: string }
  | { readonly kind: "namespace"; readonly name: string; readonly attribute: string }
  | { readonly kind: "tuple"; readonly items: readonly Target[] };

export interface Signature {
  readonly names: readonly string[];
  /** Of the last names. */
  readonly defaults: readonly Expression[];
}

export type Statement =
  & { readonly line: number }
  & (
    | { readonly kind: "text"; readonly text: string }
    | { readonly kind: "print"; readonly value: Expression }
    | {
      readonly kind: "if";
      readonly branches: readonly (readonly [test: Expression, body: readonly Statement[]])[];
      readonly otherwise: readonly Statement[];
    }
    | {
      readonly kind: "for";
      readonly target: Target;
      readonly iterable: Expression;
      readonly test?: Expression;
      readonly recursive: boolean;
      readonly body: readonly Statement[];
      readonly otherwise: readonly Statement[];
    }
    | { readonly kind: "break" | "continue" }
    | { readonly kind: "set"; readonly target: Target; readonly value: Expression }
    | {
      readonly kind: "set_block";
      readonly target: Target;
      /** Its innermost filter has no value. */
      readonly filter?: Expression;
      readonly body: readonly Statement[];
    }
    | {
      readonly kind: "with";
      readonly targets: readonly (readonly [Target, Expression])[];
      readonly body: readonly Statement[];
    }
    | {
      readonly kind: "filter_block";
      readonly filter: Expression;
      readonly body: readonly Statement[];
    }
    | {
      readonly kind: "macro";
      readonly name: string;
      readonly signature: Signature;
      readonly body: readonly Statement[];
    }
    | {
      readonly kind: "call_block";
      readonly call: Expression & { readonly kind: "call" };
      readonly signature: Signature;
      readonly body: readonly Statement[];
    }
    | { readonly kind: "block" | "generation"; readonly body: readonly Statement[] }
  );
