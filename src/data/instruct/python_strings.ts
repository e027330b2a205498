/**
 * Python's `strip`, `lstrip` and `rstrip` with an argument. The Jinja package ignores it and strips
 * all white space, where templates (Qwen 3's) strip only newlines: the model would be trained on a
 * different text than it is used with.
 */

type Node = Record<string, unknown>;

const strip = (side: "both" | "left" | "right") => (text: string, chars?: string | null) => {
  const taken = (char: string) => chars ? chars.includes(char) : char.trim() === "";
  let start = 0, end = text.length;
  if (side !== "right") { while (start < end && taken(text[start])) start++; }
  if (side !== "left") { while (end > start && taken(text[end - 1])) end--; }
  return text.slice(start, end);
};

/** The functions that {@link replaceStrips} calls, as variables of a template's environment. */
export const STRIPS: Readonly<Record<string, unknown>> = {
  strip_of_: strip("both"),
  lstrip_of_: strip("left"),
  rstrip_of_: strip("right"),
};

/** Rewrites `text.strip(chars)` in a parsed template to our `strip_of_(text, chars)`. */
export function replaceStrips(node: unknown): void {
  if (node instanceof Map) {
    for (const [key, value] of node) [key, value].forEach(replaceStrips);
  } else if (Array.isArray(node)) {
    node.forEach(replaceStrips);
  } else if (typeof node === "object" && node !== null) {
    Object.values(node).forEach(replaceStrips);
    replaceCall(node as Node);
  }
}

function replaceCall(node: Node): void {
  if (node.type !== "CallExpression") return;
  const callee = node.callee as Node, args = node.args as unknown[];
  if (callee.type !== "MemberExpression" || callee.computed || args.length === 0) return;
  const property = callee.property as Node, name = `${property.value}_of_`;
  if (!Object.hasOwn(STRIPS, name)) return;
  property.value = name;
  node.callee = property;
  args.unshift(callee.object);
}
