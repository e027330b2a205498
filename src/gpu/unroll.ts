/**
 * Unrolls loops in WGSL. Neither naga nor the drivers do: naga bounds every loop with counters of
 * its own. In a loop an array in registers has a variable index, and many compilers then keep it in
 * memory; unrolled, every index is a constant.
 *
 *   // @unroll
 *   for (var i = 0u; i < QUADS; i++) { sums[i] += a * b[i]; }
 *
 * Bounds and step are expressions of literals, module constants and the variables of enclosing
 * unrolled loops.
 */
import { GpuError } from "./errors.ts";

const LOOP =
  /\/\/ @unroll\s+for \(var (\w+) = ([^;]+); \1 < ([^;]+); \1(?:\+\+|\s*\+=\s*([^{]+))\) \{/;
const CONST = /^const\s+(\w+)[^=;]*=\s*([^;]+);/gm;
const TOKEN = /\s*(?:(\d+)u?|(\w+)|([-+*/%()]))/y;
/** A bound far beyond it is a mistake: the code would not fit a card's instruction cache. */
const MOST_ROUNDS = 256;

/** The source with every marked loop expanded. Throws {@link GpuError} on one that cannot be. */
export function unrolled(code: string): string {
  if (!code.includes("// @unroll")) return code;
  const constants = new Map(code.matchAll(CONST).map(([, name, value]) => [name, value]));
  let text = code;
  for (let loop = LOOP.exec(text); loop; loop = LOOP.exec(text)) {
    const [head, name, from, to, step = "1"] = loop;
    const [start, end, by] = [from, to, step].map((each) => evaluate(each, constants));
    if (by < 1 || (end - start) / by > MOST_ROUNDS) {
      throw new GpuError(
        `@unroll: ${name} from ${start} to ${end} by ${by} is not at most ${MOST_ROUNDS} rounds`,
      );
    }
    const open = loop.index + head.length, close = closingBrace(text, open);
    const body = text.slice(open, close), variable = new RegExp(`\\b${name}\\b`, "g");
    let rounds = "";
    for (let i = start; i < end; i += by) rounds += `{${body.replace(variable, `${i}u`)}}\n`;
    text = text.slice(0, loop.index) + rounds + text.slice(close + 1);
  }
  if (text.includes("// @unroll")) {
    const [line] = /\/\/ @unroll\s*.*/.exec(text)!;
    throw new GpuError(
      `@unroll must stand before for (var i = …; i < …; i++) {, got ${line.trim()}`,
    );
  }
  return text;
}

function closingBrace(text: string, open: number): number {
  let depth = 1;
  for (let i = open; i < text.length; i++) {
    if (text.startsWith("//", i)) i = text.indexOf("\n", i);
    else if (text[i] === "{") depth++;
    else if (text[i] === "}") depth--;
    if (depth === 0) return i;
  }
  throw new GpuError("@unroll: the loop has no end");
}

/** An expression of unsigned integers, as WGSL evaluates it. */
function evaluate(expression: string, constants: ReadonlyMap<string, string>): number {
  const tokens: string[] = [];
  const token = new RegExp(TOKEN), { length } = expression.trimEnd();
  for (token.lastIndex = 0; token.lastIndex < length;) {
    const found = token.exec(expression);
    if (!found) throw notConstant(expression);
    tokens.push(found[1] ?? found[2] ?? found[3]);
  }
  const operand = (): number => {
    const next = tokens.shift() ?? "";
    if (next === "(") {
      const value = sum();
      if (tokens.shift() !== ")") throw notConstant(expression);
      return value;
    }
    if (/^\d+$/.test(next)) return Number(next);
    const known = constants.get(next);
    if (known === undefined) throw notConstant(expression);
    return evaluate(known, constants);
  };
  const product = (): number => {
    let value = operand();
    while (/^[*/%]$/.test(tokens[0])) {
      const operator = tokens.shift(), right = operand();
      value = operator === "*"
        ? value * right
        : operator === "/"
        ? Math.floor(value / right)
        : value % right;
    }
    return value;
  };
  const sum = (): number => {
    let value = product();
    while (/^[-+]$/.test(tokens[0])) {
      value += tokens.shift() === "+" ? product() : -product();
    }
    return value;
  };
  const value = sum();
  if (tokens.length) throw notConstant(expression);
  return value;
}

const notConstant = (expression: string) =>
  new GpuError(
    `@unroll: ${expression.trim()} is not an expression of literals and module constants`,
    "an override is known only to the driver: declare it with // @const instead",
  );
