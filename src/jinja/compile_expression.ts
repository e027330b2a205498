/** Expressions as closures: a template is read once and rendered many times. */
import { binary, negative, positive } from "./arithmetic.ts";
import { NO_KEYWORDS } from "./builtin.ts";
import { contains, equals, ordered } from "./compare.ts";
import { RenderError, TemplateSyntaxError, typeError } from "./errors.ts";
import { FILTERS, NAMED } from "./filters.ts";
import type { Arguments, Comparison, Expression } from "./nodes.ts";
import { str } from "./repr.ts";
import type { Scope } from "./scope.ts";
import { callMethod, callValue, getAttribute, getItem, slice } from "./subscripts.ts";
import { TESTS } from "./tests.ts";
import { iterate, truth } from "./containers.ts";
import { Dict, dictEntries, isDict } from "./dict.ts";
import { isString, type Keywords, textOf, Tuple, Undefined, type Value } from "./values.ts";

export type Evaluate = (scope: Scope) => Value;

/** How a name's absence is met: at once, or only where a branch that uses it is taken. */
export interface CompileOptions {
  readonly inBranch: boolean;
}

export function compileExpression(node: Expression, options: CompileOptions): Evaluate {
  const compile = (each: Expression) => compileExpression(each, options);
  switch (node.kind) {
    case "constant":
      return () => node.value;
    case "name":
      return named(node.name);
    case "list": {
      const items = node.items.map(compile);
      return (scope) => items.map((each) => each(scope));
    }
    case "tuple": {
      const items = node.items.map(compile);
      return (scope) => new Tuple(items.map((each) => each(scope)));
    }
    case "dict": {
      const pairs = node.pairs.map((pair) => pair.map(compile));
      return (scope) => new Dict(pairs.map(([key, value]) => [key(scope), value(scope)]));
    }
    case "attribute": {
      const object = compile(node.object), { name } = node;
      return (scope) => getAttribute(object(scope), name);
    }
    case "item": {
      const object = compile(node.object), key = compile(node.key);
      return (scope) => getItem(object(scope), key(scope));
    }
    case "slice": {
      const object = compile(node.object);
      const [start, stop, step] = [node.start, node.stop, node.step]
        .map((each) => each ? compile(each) : () => null);
      return (scope) => slice(object(scope), start(scope), stop(scope), step(scope));
    }
    case "call":
      return compileCall(node, options);
    case "filter":
    case "test":
      return compileNamed(node, options);
    case "unary": {
      const value = compile(node.value);
      if (node.operator === "not") return (scope) => !truth(value(scope));
      return node.operator === "-"
        ? (scope) => negative(value(scope))
        : (scope) => positive(value(scope));
    }
    case "binary": {
      const { operator } = node, left = compile(node.left), right = compile(node.right);
      return (scope) => binary(operator, left(scope), right(scope));
    }
    case "and":
    case "or": {
      const left = compile(node.left), right = compile(node.right), decides = node.kind === "or";
      return (scope) => {
        const value = left(scope);
        return truth(value) === decides ? value : right(scope);
      };
    }
    case "concat": {
      const items = node.items.map(compile);
      return (scope) => items.map((each) => str(each(scope))).join("");
    }
    case "compare":
      return compileComparison(node, options);
    case "conditional": {
      const inBranch = { inBranch: true };
      const test = compile(node.test), then = compileExpression(node.then, inBranch);
      const message = `the inline if-expression on line ${node.line} evaluated to false and no ` +
        "else section was defined.";
      const otherwise = node.otherwise
        ? compileExpression(node.otherwise, inBranch)
        : () => new Undefined(message);
      return (scope) => truth(test(scope)) ? then(scope) : otherwise(scope);
    }
  }
}

function named(name: string): Evaluate {
  return (scope) => {
    const value = scope.get(name);
    return value === undefined ? new Undefined(`'${name}' is undefined`) : value;
  };
}

type Test = (a: Value, b: Value) => boolean;
const COMPARISONS: Record<Comparison, Test> = {
  eq: equals,
  ne: (a, b) => !equals(a, b),
  lt: (a, b) => ordered("lt", a, b),
  lteq: (a, b) => ordered("lteq", a, b),
  gt: (a, b) => ordered("gt", a, b),
  gteq: (a, b) => ordered("gteq", a, b),
  in: (a, b) => contains(b, a),
  notin: (a, b) => !contains(b, a),
};

/** `a < b < c` evaluates b once, and c only if a < b. */
function compileComparison(
  node: Expression & { kind: "compare" },
  options: CompileOptions,
): Evaluate {
  const first = compileExpression(node.first, options);
  const rest = node.rest.map(([comparison, operand]) =>
    [COMPARISONS[comparison], compileExpression(operand, options)] as const
  );
  if (rest.length === 1) {
    const [[test, right]] = rest;
    return (scope) => test(first(scope), right(scope));
  }
  return (scope) => {
    let left = first(scope);
    return rest.every(([test, operand]) => {
      const right = operand(scope), holds = test(left, right);
      left = right;
      return holds;
    });
  };
}

function compileCall(node: Expression & { kind: "call" }, options: CompileOptions): Evaluate {
  const { callee, line } = node, given = compileArguments(node.arguments, options);
  if (callee.kind === "attribute") {
    const object = compileExpression(callee.object, options), { name } = callee;
    return (scope) => {
      const value = object(scope), { args, keywords } = given(scope, []);
      scope.rendering.line = line;
      return callMethod(value, name, args, keywords);
    };
  }
  const called = compileExpression(callee, options);
  return (scope) => {
    const value = called(scope), { args, keywords } = given(scope, []);
    scope.rendering.line = line;
    return callValue(value, args, keywords);
  };
}

/** A filter or test. Jinja looks it up when it reads the template, in a branch when it is taken. */
function compileNamed(
  node: Expression & { kind: "filter" | "test" },
  options: CompileOptions,
): Evaluate {
  const { kind, name, line } = node;
  const known = kind === "filter" ? FILTERS : { ...TESTS, filter: null, test: null };
  if (!Object.hasOwn(known, name) && !options.inBranch) {
    throw new TemplateSyntaxError(`No ${kind} named '${name}'.`, line);
  }
  if (!node.value) throw new TemplateSyntaxError(`${kind} '${name}' has no value`, line);
  const value = compileExpression(node.value, options);
  const given = compileArguments(node.arguments, options), call = NAMED[kind];
  return (scope) => {
    const { args, keywords } = given(scope, [value(scope)]);
    return call(name, args, keywords);
  };
}

interface Given {
  readonly args: Value[];
  readonly keywords: Keywords;
}

/** The arguments, after those that come first. */
export function compileArguments(
  { positional, keywords, spread, keywordSpread }: Arguments,
  options: CompileOptions,
): (scope: Scope, first: Value[]) => Given {
  const compile = (each: Expression) => compileExpression(each, options);
  const values = positional.map(compile);
  const pairs = keywords.map(([name, value]) => [name, compile(value)] as const);
  const more = spread && compile(spread), named = keywordSpread && compile(keywordSpread);
  return (scope, args) => {
    for (const value of values) args.push(value(scope));
    if (more) args.push(...iterate(more(scope)));
    if (pairs.length === 0 && !named) return { args, keywords: NO_KEYWORDS };
    const given = new Map<string, Value>();
    const add = (name: string, value: Value) => {
      if (given.has(name)) throw typeError(`got multiple values for keyword argument '${name}'`);
      given.set(name, value);
    };
    for (const [name, value] of pairs) add(name, value(scope));
    if (named) {
      for (const [key, value] of entriesIn(named(scope))) add(key, value);
    }
    return { args, keywords: given };
  };
}

function entriesIn(value: Value): [string, Value][] {
  if (!isDict(value)) throw typeError("argument after ** must be a mapping");
  return dictEntries(value).map(([key, each]) => {
    if (isString(key)) return [textOf(key), each];
    throw new RenderError("TypeError", "keywords must be strings");
  });
}
