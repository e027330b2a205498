/** Statements as closures. */
import { compileExpression, type CompileOptions, type Evaluate } from "./compile_expression.ts";
import { RenderError, valueError } from "./errors.ts";
import { Loop } from "./loop.ts";
import { type MacroParts, makeMacro } from "./macro.ts";
import { namesIn } from "./names.ts";
import type { Expression, Signature, Statement, Target } from "./nodes.ts";
import { str } from "./repr.ts";
import type { Scope } from "./scope.ts";
import { callValue } from "./subscripts.ts";
import { compileArguments } from "./compile_expression.ts";
import { iterate, truth } from "./containers.ts";
import { lift, Namespace, type Value } from "./values.ts";

/** How a statement ended: a loop is left, or goes on with its next item. */
type Ending = void | "break" | "continue";
export type Run = (scope: Scope) => Ending;

const TOP: CompileOptions = { inBranch: false };

export function compile(statements: readonly Statement[], options = TOP): Run {
  const runs = statements.map((each) => compileStatement(each, options));
  if (runs.length === 1) return runs[0];
  return (scope) => {
    for (const run of runs) {
      const ending = run(scope);
      if (ending) return ending;
    }
  };
}

function compileStatement(node: Statement, options: CompileOptions): Run {
  const { line } = node;
  const expression = (each: Expression) => compileExpression(each, options);
  switch (node.kind) {
    case "text": {
      const { text } = node;
      return ({ rendering }) => {
        rendering.out.text += text;
      };
    }
    case "print": {
      const value = expression(node.value);
      return (scope) => {
        scope.rendering.line = line;
        scope.rendering.print(str(value(scope)));
      };
    }
    case "if":
      return compileIf(node);
    case "for":
      return compileFor(node, options);
    case "break":
    case "continue":
      return () => node.kind;
    case "set": {
      const value = expression(node.value), assign = compileTarget(node.target);
      return (scope) => {
        scope.rendering.line = line;
        assign(scope, value(scope));
      };
    }
    case "set_block": {
      const text = compileCapture(node.body, node.filter, options);
      const assign = compileTarget(node.target);
      return (scope) => assign(scope, text(scope));
    }
    case "filter_block": {
      const text = compileCapture(node.body, node.filter, options);
      return (scope) => scope.rendering.print(str(text(scope)));
    }
    case "with": {
      const body = compile(node.body, options);
      const targets = node.targets.map(([target, value]) =>
        [compileTarget(target), expression(value)] as const
      );
      return (scope) => {
        const inner = scope.inner();
        const values = targets.map(([, value]) => value(scope));
        targets.forEach(([assign], index) => assign(inner, values[index]));
        return body(inner);
      };
    }
    case "macro": {
      const parts = macroParts(node.name, node, options);
      return (scope) => scope.set(node.name, makeMacro(parts, scope));
    }
    case "call_block":
      return compileCallBlock(node, options);
    case "block": {
      const body = compile(node.body, options);
      return (scope) => {
        body(scope.inner());
      };
    }
    case "generation": {
      const body = compile(node.body, options);
      return (scope) => scope.rendering.generate(() => void body(scope.inner()));
    }
  }
}

const BRANCH: CompileOptions = { inBranch: true };

function compileIf({ branches, otherwise, line }: Statement & { kind: "if" }): Run {
  const tests = branches.map(([test, body]) =>
    [compileExpression(test, BRANCH), compile(body, BRANCH)] as const
  );
  const last = compile(otherwise, BRANCH);
  return (scope) => {
    scope.rendering.line = line;
    for (const [test, body] of tests) {
      if (truth(test(scope))) return body(scope);
    }
    return last(scope);
  };
}

function compileFor(node: Statement & { kind: "for" }, options: CompileOptions): Run {
  const iterable = compileExpression(node.iterable, options);
  const assign = compileTarget(node.target);
  const test = node.test && compileExpression(node.test, options);
  const body = compile(node.body, options), otherwise = compile(node.otherwise, options);
  const loops = (scope: Scope, value: Value, depth: number): Ending => {
    let items = iterate(value);
    if (test) {
      items = items.filter((item) => {
        const inner = scope.inner();
        assign(inner, item);
        return truth(test(inner));
      });
    }
    const { rendering } = scope;
    const recurse = (children: Value, level: number) =>
      rendering.capture(() => void loops(scope, children, level));
    const loop = new Loop(items, depth, node.recursive ? recurse : null);
    let isComplete = false;
    for (let index = 0; index < items.length; index++) {
      const inner = scope.inner(), item = items[index];
      loop.index = index;
      inner.set("loop", loop);
      assign(inner, item);
      const ending = rendering.at(item, () => body(inner));
      if (ending === "break") break;
      if (!ending) isComplete = true;
    }
    // As in Jinja, `else` also runs if every round was cut short.
    if (!isComplete) return otherwise(scope.inner());
  };
  return (scope) => {
    scope.rendering.line = node.line;
    return loops(scope, iterable(scope), 1);
  };
}

/** The text of a block, through a filter if there is one. */
function compileCapture(
  statements: readonly Statement[],
  filter: Expression | undefined,
  options: CompileOptions,
): Evaluate {
  const body = compile(statements, options);
  const text: Evaluate = (scope) => scope.rendering.capture(() => void body(scope.inner()));
  if (!filter) return text;
  const filtered = compileExpression(withValue(filter), options);
  return (scope) => {
    const inner = scope.inner();
    inner.set(BLOCK_TEXT, text(scope));
    return filtered(inner);
  };
}

/** No template can use a variable of this name. */
const BLOCK_TEXT = "the text of the block";

/** The chain of filters with the block's text as the value of its first. */
function withValue(filter: Expression): Expression {
  if (filter.kind !== "filter") return filter;
  const { line } = filter;
  const value: Expression = filter.value
    ? withValue(filter.value)
    : { kind: "name", name: BLOCK_TEXT, line };
  return { ...filter, value };
}

function macroParts(
  name: string,
  { signature, body }: { signature: Signature; body: readonly Statement[] },
  options: CompileOptions,
): MacroParts {
  const names = namesIn(body), write = compile(body, options);
  return {
    name,
    names: signature.names,
    defaults: signature.defaults.map((each) => compileExpression(each, options)),
    uses: new Set(["caller", "kwargs", "varargs"].filter((each) => names.has(each))),
    write: (scope) => void write(scope),
  };
}

function compileCallBlock(
  node: Statement & { kind: "call_block" },
  options: CompileOptions,
): Run {
  const parts = macroParts("caller", node, options), { line } = node;
  const callee = compileExpression(node.call.callee, options);
  const given = compileArguments(node.call.arguments, options);
  return (scope) => {
    const { args, keywords } = given(scope, []);
    const caller = makeMacro(parts, scope);
    scope.rendering.line = line;
    const result = callValue(callee(scope), args, new Map([...keywords, ["caller", caller]]));
    scope.rendering.print(str(result));
  };
}

type Assign = (scope: Scope, value: Value) => void;

function compileTarget(target: Target): Assign {
  switch (target.kind) {
    case "name": {
      const { name } = target;
      return (scope, value) => scope.set(name, value);
    }
    case "namespace": {
      const { name, attribute } = target;
      return (scope, value) => {
        const object = scope.get(name);
        if (!(object instanceof Namespace)) {
          throw new RenderError(
            "TemplateRuntimeError",
            "cannot assign attribute on non-namespace object",
          );
        }
        object.attributes.set(attribute, value);
      };
    }
    case "tuple": {
      const targets = target.items.map(compileTarget);
      return (scope, value) => {
        const items = iterate(value), { length } = targets;
        if (items.length < length) {
          throw valueError(`not enough values to unpack (expected ${length}, got ${items.length})`);
        }
        if (items.length > length) {
          throw valueError(`too many values to unpack (expected ${length})`);
        }
        targets.forEach((assign, index) => assign(scope, lift(items[index])));
      };
    }
  }
}
