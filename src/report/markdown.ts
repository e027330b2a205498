/** Texts in Markdown: what others wrote is text there, and not markup. */

/** A text on one line, without what Markdown would take for its own. */
export function plain(text: string): string {
  return text.replace(/\s*\n\s*/g, " ").replace(/[\\`*_<>[\]#|]/g, "\\$&");
}

/** A table of cells that are Markdown already. `right`: all columns but the first are numbers. */
export function markdownTable(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  { right = false } = {},
): string {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  const rule = head.map((_, at) => right && at ? "---:" : "---");
  return [line(head), line(rule), ...rows.map(line)].join("\n");
}

/** A text as code, whatever marks it holds. */
export function code(text: string): string {
  const ticks = ticksAround(text, 1), space = text.startsWith("`") || text.endsWith("`") ? " " : "";
  return `${ticks}${space}${text}${space}${ticks}`;
}

/** A text as it stands, in a block of its own. */
export function fenced(text: string): string {
  const fence = ticksAround(text, 3);
  return `${fence}text\n${text}\n${fence}`;
}

/** More than any row of them in the text. */
function ticksAround(text: string, least: number): string {
  const longest = Math.max(least - 1, ...[...text.matchAll(/`+/g)].map(([ticks]) => ticks.length));
  return "`".repeat(longest + 1);
}
