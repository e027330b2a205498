/** Python's `str()` and `repr()`. */
import { dictEntries, DictView, isDict } from "./dict.ts";
import {
  Float,
  lift,
  Markup,
  Namespace,
  PyObject,
  Tuple,
  Undefined,
  type Value,
} from "./values.ts";

/** What `{{ value }}` prints. */
export function str(value: Value): string {
  if (typeof value === "string") return value;
  if (value instanceof Markup) return value.text;
  if (value instanceof Undefined) return "";
  return repr(value);
}

export function repr(value: Value): string {
  switch (typeof value) {
    case "string":
      return reprText(value);
    case "boolean":
      return value ? "True" : "False";
    case "number":
      return Number.isInteger(value) ? String(value) : reprFloat(value);
    case "bigint":
      return String(value);
  }
  if (value === null) return "None";
  if (value instanceof Float) return reprFloat(value.value);
  if (Array.isArray(value)) return `[${list(value)}]`;
  if (value instanceof Tuple) {
    return value.items.length === 1 ? `(${list(value.items)},)` : `(${list(value.items)})`;
  }
  if (value instanceof Markup) return `Markup(${reprText(value.text)})`;
  if (value instanceof DictView) return `${value.typeName}([${list(value.values())}])`;
  if (value instanceof Namespace) return `<Namespace {${pairs([...value.attributes])}}>`;
  if (value instanceof PyObject) return value.repr();
  return isDict(value) ? `{${pairs(dictEntries(value))}}` : String(value);
}

const list = (items: readonly Value[]) => items.map((each) => repr(lift(each))).join(", ");
const pairs = (entries: readonly (readonly [Value, Value])[]) =>
  entries.map(([key, value]) => `${repr(key)}: ${repr(value)}`).join(", ");

/** Categories that Python does not print: everything but the space in Z and C. */
const UNPRINTABLE = /[\\\p{C}\p{Z}]/gu;
const SHORT: Record<string, string> = { "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t" };

function reprText(text: string): string {
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'";
  const escaped = text.replace(UNPRINTABLE, (char) => {
    if (char === " ") return char;
    if (Object.hasOwn(SHORT, char)) return SHORT[char];
    const code = char.codePointAt(0)!, hex = code.toString(16);
    if (code < 0x100) return `\\x${hex.padStart(2, "0")}`;
    return code < 0x10000 ? `\\u${hex.padStart(4, "0")}` : `\\U${hex.padStart(8, "0")}`;
  });
  return quote + (quote === "'" ? escaped.replaceAll("'", "\\'") : escaped) + quote;
}

/** The shortest digits that read back as the number: 1.0, 1e-07, 1e+16. */
export function reprFloat(value: number): string {
  if (Number.isNaN(value)) return "nan";
  if (!Number.isFinite(value)) return value > 0 ? "inf" : "-inf";
  if (Object.is(value, -0)) return "-0.0";
  const [mantissa, exponent] = value.toExponential().split("e"), power = Number(exponent);
  if (power >= -4 && power < 16) {
    const plain = value.toFixed(Math.max(0, mantissa.replace(/\D/g, "").length - 1 - power));
    return plain.includes(".") ? plain : `${plain}.0`;
  }
  const sign = power < 0 ? "-" : "+";
  return `${mantissa}e${sign}${String(Math.abs(power)).padStart(2, "0")}`;
}
