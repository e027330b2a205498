/** Numbers, tables and names as text. */

/** Bytes in binary units: 13.4 MiB. 1,000 to 1,023 of a unit are shown in the next one. */
export function formatBytes(bytes: number, digits = 3): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  let unit = 0, value = bytes;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 ? value : value.toPrecision(digits)} ${units[unit]}`;
}

/** The unit for an axis of bytes up to `most`. */
export function byteUnit(most: number): { readonly name: string; readonly size: number } {
  return most >= 2 ** 33 ? { name: "GiB", size: 2 ** 30 } : { name: "MiB", size: 2 ** 20 };
}

/** For XML and HTML, as text or within double quotes. */
export function escapeXml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll('"', "&quot;").replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;");
}

/** A count in words where it is large: 58.1 million. */
export function formatCount(count: number): string {
  const [name, unit] = ([["trillion", 1e12], ["billion", 1e9], ["million", 1e6]] as const)
    .find(([, unit]) => count >= 0.9995 * unit) ?? ["", 1];
  return name
    ? `${(count / unit).toPrecision(3)} ${name}`
    : Math.round(count).toLocaleString("en-GB");
}

/** Seconds, in the two largest units that apply: 331 ms, 4.2 s, 3 min 20 s, 5 h 20 min, 12 days 3 h. */
export function formatDuration(seconds: number): string {
  if (seconds < 0.9995) return `${(1000 * seconds).toPrecision(3)} ms`;
  if (seconds < 59.95) return `${seconds.toPrecision(seconds < 9.95 ? 2 : 3)} s`;
  for (const [large, many, small, few] of PAIRS) {
    const whole = Math.round(seconds / few) * few, rest = whole % many / few;
    if (whole >= many) {
      return `${Math.floor(whole / many)} ${large}${rest ? ` ${rest} ${small}` : ""}`;
    }
  }
  throw new RangeError(`formatDuration: ${seconds}`);
}

const PAIRS = [["d", 86_400, "h", 3600], ["h", 3600, "min", 60], ["min", 60, "s", 1]] as const;

/** Aligned columns, the first to the left and the others to the right. */
export function formatTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [head, ...rows];
  const widths = head.map((_, column) => Math.max(...all.map((row) => row[column].length)));
  const line = (row: readonly string[]) =>
    row.map((cell, column) => column === 0 ? cell.padEnd(widths[0]) : cell.padStart(widths[column]))
      .join("  ").trimEnd();
  return all.map(line).join("\n");
}

/** `batchSize` to `batch_size`. */
export function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/** `batchSize` to `batch-size`. */
export function kebabCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/** `batch_size` or `batch-size` to `batchSize`. */
export function camelCase(name: string): string {
  return name.replace(/[-_]([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

/** `1 example`, `2 examples`. */
export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

/** Characters of a value that a message shows. */
const SHOWN = 100;

/** The beginning of a long text, and its length. */
export function shortened(text: string, most = SHOWN): string {
  if (text.length <= most) return text;
  return `${text.slice(0, most).toWellFormed()}… (${text.length.toLocaleString("en")} characters)`;
}

/** A value as JSON, for a message: no longer than a line or two, whatever it is. */
export function quoted(value: unknown, most = SHOWN): string {
  if (typeof value === "string" && value.length > most) {
    const begin = JSON.stringify(value.slice(0, most).toWellFormed()).slice(0, -1);
    return `${begin}…" (${value.length.toLocaleString("en")} characters)`;
  }
  try {
    return shortened(JSON.stringify(value) ?? String(value), 2 * most);
  } catch {
    // A bigint, a circle, or more than a string can hold.
    return typeof value === "object" ? "a value that JSON cannot hold" : shortened(String(value));
  }
}
