/** Escaping of HTML, as MarkupSafe does it. */
import { str } from "./repr.ts";
import { Markup, type Value } from "./values.ts";

const ENTITIES: Record<string, string> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&#34;",
  "'": "&#39;",
};

/** The value as text, escaped unless it already is. */
export function escapeHtml(value: Value): string {
  if (value instanceof Markup) return value.text;
  return str(value).replace(/[&<>"']/g, (char) => ENTITIES[char]);
}
