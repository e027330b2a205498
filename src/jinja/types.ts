/** The names of Python's types, for messages. */
import { isDict } from "./dict.ts";
import { isFloat, isInt, Markup, PyObject, Tuple, type Value } from "./values.ts";

export function typeName(value: Value): string {
  if (value === null) return "NoneType";
  if (typeof value === "boolean") return "bool";
  if (isInt(value)) return "int";
  if (isFloat(value)) return "float";
  if (typeof value === "string") return "str";
  if (value instanceof Markup) return "Markup";
  if (Array.isArray(value)) return "list";
  if (value instanceof Tuple) return "tuple";
  if (value instanceof PyObject) return value.typeName;
  return isDict(value) ? "dict" : "object";
}

/** For messages: `str object`; None is itself. */
export function objectTypeName(value: Value): string {
  return value === null ? "None" : `${typeName(value)} object`;
}
