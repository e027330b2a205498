/** Attributes given by a path, as `map(attribute="function.name")` takes them. */
import { getItem } from "./subscripts.ts";
import { isString, textOf, Undefined, type Value } from "./values.ts";

/** Lower case for comparisons that ignore it. */
export function ignoreCase(value: Value): Value {
  return isString(value) ? textOf(value).toLowerCase() : value;
}

/** Without an attribute, the item itself. `fallback` replaces what is undefined. */
export function attributeGetter(
  attribute: Value | undefined,
  fallback: Value = null,
): (item: Value) => Value {
  const path = pathOf(attribute);
  return (item) => {
    for (const part of path) {
      item = getItem(item, part);
      if (fallback !== null && item instanceof Undefined) item = fallback;
    }
    return item;
  };
}

/** Several attributes, separated by commas. */
export function attributesGetter(attribute: Value | undefined): (item: Value) => Value[] {
  const getters = (isString(attribute) ? textOf(attribute).split(",") : [attribute])
    .map((each) => attributeGetter(each));
  return (item) => getters.map((get) => get(item));
}

function pathOf(attribute: Value | undefined): Value[] {
  if (attribute === undefined || attribute === null) return [];
  if (!isString(attribute)) return [attribute];
  return textOf(attribute).split(".").map((each) => /^\d+$/.test(each) ? Number(each) : each);
}
