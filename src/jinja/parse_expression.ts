/**
 * Expressions, from the loosest operator to the tightest: conditional, or, and, not, comparisons,
 * `+ -`, `~`, `* / // %`, `**`, signs, and what follows a value. This is Jinja's order, not Python's:
 * `**` groups to the left, `~` binds tighter than `+`, and a sign tighter than a filter.
 */
import type { Operator } from "./arithmetic.ts";
import type { Arguments, Comparison, Expression } from "./nodes.ts";
import type { TokenStream } from "./token_stream.ts";

export function parseExpression(stream: TokenStream): Expression {
  let value = parseOr(stream);
  while (stream.isName("if")) {
    const { line } = stream.next();
    const test = parseOr(stream);
    const otherwise = stream.skipName("else") ? parseExpression(stream) : undefined;
    value = { kind: "conditional", test, then: value, otherwise, line };
  }
  return value;
}

/** An expression that is no conditional: `if` after it has another meaning. */
export function parseOr(stream: TokenStream): Expression {
  let left = parseAnd(stream);
  while (stream.isName("or")) {
    const { line } = stream.next();
    left = { kind: "or", left, right: parseAnd(stream), line };
  }
  return left;
}

function parseAnd(stream: TokenStream): Expression {
  let left = parseNot(stream);
  while (stream.isName("and")) {
    const { line } = stream.next();
    left = { kind: "and", left, right: parseNot(stream), line };
  }
  return left;
}

function parseNot(stream: TokenStream): Expression {
  if (!stream.isName("not")) return parseComparison(stream);
  const { line } = stream.next();
  return { kind: "unary", operator: "not", value: parseNot(stream), line };
}

const COMPARISONS: Record<string, Comparison> = {
  "==": "eq",
  "!=": "ne",
  "<": "lt",
  "<=": "lteq",
  ">": "gt",
  ">=": "gteq",
};

function parseComparison(stream: TokenStream): Expression {
  const { line } = stream.current, first = parseSum(stream);
  const rest: [Comparison, Expression][] = [];
  for (;;) {
    const { current, following } = stream;
    if (current.type === "operator" && Object.hasOwn(COMPARISONS, current.text)) {
      stream.next();
      rest.push([COMPARISONS[current.text], parseSum(stream)]);
    } else if (stream.skipName("in")) {
      rest.push(["in", parseSum(stream)]);
    } else if (stream.isName("not") && following.type === "name" && following.text === "in") {
      stream.next();
      stream.next();
      rest.push(["notin", parseSum(stream)]);
    } else {
      return rest.length === 0 ? first : { kind: "compare", first, rest, line };
    }
  }
}

/** A level of binary operators that group to the left. */
function leftToRight(operators: readonly string[], operand: (stream: TokenStream) => Expression) {
  return (stream: TokenStream): Expression => {
    let left = operand(stream);
    while (stream.current.type === "operator" && operators.includes(stream.current.text)) {
      const { text, line } = stream.next();
      left = { kind: "binary", operator: text as Operator, left, right: operand(stream), line };
    }
    return left;
  };
}

const parsePower = leftToRight(["**"], (stream) => parseUnary(stream, true));
const parseProduct = leftToRight(["*", "/", "//", "%"], parsePower);
const parseSum = leftToRight(["+", "-"], parseConcat);

function parseConcat(stream: TokenStream): Expression {
  const { line } = stream.current, items = [parseProduct(stream)];
  while (stream.skipOperator("~")) items.push(parseProduct(stream));
  return items.length === 1 ? items[0] : { kind: "concat", items, line };
}

function parseUnary(stream: TokenStream, withFilters: boolean): Expression {
  let value: Expression;
  if (stream.isOperator("-") || stream.isOperator("+")) {
    const { text, line } = stream.next();
    value = { kind: "unary", operator: text as "+" | "-", value: parseUnary(stream, false), line };
  } else {
    value = parsePrimary(stream);
  }
  value = parsePostfix(stream, value);
  return withFilters ? parseFilters(stream, value) : value;
}

const CONSTANTS: Record<string, true | false | null> = {
  true: true,
  True: true,
  false: false,
  False: false,
  none: null,
  None: null,
};

export function parsePrimary(stream: TokenStream): Expression {
  const token = stream.next(), { line } = token;
  switch (token.type) {
    case "name":
      return Object.hasOwn(CONSTANTS, token.text)
        ? { kind: "constant", value: CONSTANTS[token.text], line }
        : { kind: "name", name: token.text, line };
    case "string": {
      let value = token.value as string;
      while (stream.is("string")) value += stream.next().value;
      return { kind: "constant", value, line };
    }
    case "integer":
    case "float":
      return { kind: "constant", value: token.value, line };
    case "operator":
      switch (token.text) {
        case "(": {
          const value = parseTuple(stream, parseExpression, { mayBeEmpty: true });
          stream.expect("operator", ")");
          return value;
        }
        case "[":
          return { kind: "list", items: listed(stream, "]", parseExpression), line };
        case "{":
          return { kind: "dict", pairs: listed(stream, "}", parsePair), line };
      }
  }
  stream.fail(
    token.type === "end" ? "unexpected end of template" : `unexpected '${token.text}'`,
    line,
  );
}

/** Items up to the closing bracket, which is taken too. */
function listed<T>(stream: TokenStream, close: string, item: (stream: TokenStream) => T): T[] {
  const items: T[] = [];
  while (!stream.isOperator(close)) {
    if (items.length > 0) stream.expect("operator", ",");
    if (stream.isOperator(close)) break;
    items.push(item(stream));
  }
  stream.expect("operator", close);
  return items;
}

function parsePair(stream: TokenStream): [Expression, Expression] {
  const key = parseExpression(stream);
  stream.expect("operator", ":");
  return [key, parseExpression(stream)];
}

/** One expression, or a tuple of those between commas. */
export function parseTuple(
  stream: TokenStream,
  item: (stream: TokenStream) => Expression,
  { mayBeEmpty = false, end = () => false }: {
    readonly mayBeEmpty?: boolean;
    /** Whether the tuple is over, besides the ends that every tuple has. */
    readonly end?: () => boolean;
  } = {},
): Expression {
  const { line } = stream.current, items: Expression[] = [];
  let isTuple = false;
  const isOver = () =>
    stream.is("variable_end") || stream.is("block_end") || stream.isOperator(")") || end();
  while (!isOver()) {
    items.push(item(stream));
    if (!stream.skipOperator(",")) break;
    isTuple = true;
  }
  if (!isTuple && items.length === 1) return items[0];
  if (!isTuple && !mayBeEmpty) stream.fail(`Expected an expression, got '${stream.current.text}'`);
  return { kind: "tuple", items, line };
}

/** `.name`, `[key]` and `(arguments)`. */
export function parsePostfix(stream: TokenStream, value: Expression): Expression {
  for (;;) {
    if (stream.isOperator(".")) value = parseDot(stream, value);
    else if (stream.isOperator("[")) value = parseBrackets(stream, value);
    else if (stream.isOperator("(")) value = parseCall(stream, value);
    else return value;
  }
}

function parseCall(stream: TokenStream, callee: Expression): Expression {
  const { line } = stream.current;
  return { kind: "call", callee, arguments: parseArguments(stream), line };
}

function parseDot(stream: TokenStream, object: Expression): Expression {
  const { line } = stream.next(), token = stream.next();
  if (token.type === "name") return { kind: "attribute", object, name: token.text, line };
  if (token.type !== "integer") stream.fail("expected name or number", token.line);
  return { kind: "item", object, key: { kind: "constant", value: token.value, line }, line };
}

function parseBrackets(stream: TokenStream, object: Expression): Expression {
  const { line } = stream.next(),
    bound = () => {
      const absent = stream.isOperator(":") || stream.isOperator("]");
      return absent ? undefined : parseExpression(stream);
    };
  const start = bound();
  if (stream.skipOperator(":")) {
    const stop = bound(), step = stream.skipOperator(":") ? bound() : undefined;
    stream.expect("operator", "]");
    return { kind: "slice", object, start, stop, step, line };
  }
  if (start === undefined) stream.fail("expected a key");
  const more = stream.skipOperator(",") ? listed(stream, "]", parseExpression) : undefined;
  if (!more) stream.expect("operator", "]");
  const key: Expression = more ? { kind: "tuple", items: [start, ...more], line } : start;
  return { kind: "item", object, key, line };
}

export function parseArguments(stream: TokenStream): Arguments {
  const { line } = stream.expect("operator", "(");
  const positional: Expression[] = [], keywords: [string, Expression][] = [];
  let spread: Expression | undefined, keywordSpread: Expression | undefined;
  const ensure = (valid: boolean) => {
    if (!valid) stream.fail("invalid syntax for function call expression", line);
  };
  for (let first = true; !stream.isOperator(")"); first = false) {
    if (!first) stream.expect("operator", ",");
    if (stream.isOperator(")")) break;
    if (stream.skipOperator("*")) {
      ensure(!spread && !keywordSpread);
      spread = parseExpression(stream);
    } else if (stream.skipOperator("**")) {
      ensure(!keywordSpread);
      keywordSpread = parseExpression(stream);
    } else if (stream.is("name") && stream.following.text === "=") {
      ensure(!keywordSpread);
      const name = stream.next().text;
      stream.next();
      keywords.push([name, parseExpression(stream)]);
    } else {
      ensure(!spread && !keywordSpread && keywords.length === 0);
      positional.push(parseExpression(stream));
    }
  }
  stream.expect("operator", ")");
  return { positional, keywords, spread, keywordSpread };
}

/** Filters, tests and calls after a value. */
function parseFilters(stream: TokenStream, value: Expression): Expression {
  for (;;) {
    if (stream.isOperator("|")) {
      stream.next();
      value = parseFilter(stream, value);
    } else if (stream.isName("is")) value = parseTest(stream, value);
    else if (stream.isOperator("(")) value = parseCall(stream, value);
    else return value;
  }
}

const NO_ARGUMENTS: Arguments = { positional: [], keywords: [] };

/** A filter after its bar; without a value, that of a filter block. */
export function parseFilter(stream: TokenStream, value: Expression | undefined): Expression {
  const { line } = stream.current, name = parseDotted(stream);
  const given = stream.isOperator("(") ? parseArguments(stream) : NO_ARGUMENTS;
  return { kind: "filter", value, name, arguments: given, line };
}

function parseDotted(stream: TokenStream): string {
  let name = stream.expect("name").text;
  while (stream.skipOperator(".")) name += `.${stream.expect("name").text}`;
  return name;
}

function parseTest(stream: TokenStream, value: Expression): Expression {
  const { line } = stream.next(), isNegated = stream.skipName("not");
  const name = parseDotted(stream);
  const test: Expression = { kind: "test", value, name, arguments: testArguments(stream), line };
  return isNegated ? { kind: "unary", operator: "not", value: test, line } : test;
}

function testArguments(stream: TokenStream): Arguments {
  if (stream.isOperator("(")) return parseArguments(stream);
  const { type, text } = stream.current;
  const begins = type === "string" || type === "integer" || type === "float" ||
    (type === "operator" && (text === "[" || text === "{")) ||
    (type === "name" && !["else", "or", "and"].includes(text));
  if (!begins) return NO_ARGUMENTS;
  if (stream.isName("is")) stream.fail("You cannot chain multiple tests with is");
  return { positional: [parsePostfix(stream, parsePrimary(stream))], keywords: [] };
}
