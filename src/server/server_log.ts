/**
 * The server's log. An entry is one line, as text or JSON, and begins with its time. What a client
 * controls cannot begin a line of its own: control characters are escaped.
 *
 * @module
 */

export const LOG_FORMATS = ["text", "json"] as const;
export type LogFormat = typeof LOG_FORMATS[number];
export type LogLevel = "info" | "warn" | "error";

/** What an entry is about, in snake case: `request_id`, `client`, `job_id`. */
export type LogFields = Readonly<Record<string, string | number | undefined>>;

export class ServerLog {
  /** @param write is called with each line, without a line break */
  constructor(readonly write: (line: string) => void, readonly format: LogFormat = "text") {}

  info(message: string, fields?: LogFields): void {
    this.entry("info", message, fields);
  }

  warn(message: string, fields?: LogFields): void {
    this.entry("warn", message, fields);
  }

  error(message: string, fields?: LogFields): void {
    this.entry("error", message, fields);
  }

  /** A fault of the server itself, with its stack. */
  fault(error: unknown, fields?: LogFields): void {
    const { message = String(error), stack } = error as Partial<Error> ?? {};
    this.entry("error", message, fields, stack);
  }

  /** @param detail more lines: a stack, what a process wrote */
  entry(level: LogLevel, message: string, fields: LogFields = {}, detail?: string): void {
    const time = new Date().toISOString();
    if (this.format === "json") {
      this.write(JSON.stringify({ time, level, message, ...fields, detail }));
      return;
    }
    const named = Object.entries(fields).filter(([, value]) => value !== undefined);
    const pairs = named.map(([name, value]) => ` ${name}=${valueText(value!)}`);
    const begin = `${time} ${level}`;
    this.write(`${begin} ${escaped(message)}${pairs.join("")}`);
    // Each with the time, so that none can be taken for an entry, or lose its own.
    for (const line of detail?.trim() ? detail.trimEnd().split("\n") : []) {
      this.write(`${begin} | ${escaped(line)}`);
    }
  }
}

/** Quoted where it would not be read as one value. */
function valueText(value: string | number): string {
  const text = String(value);
  return /^[^\s"=]+$/.test(text) ? escaped(text) : escaped(JSON.stringify(text));
}

/** Those that end or erase a line, colour a terminal, or reverse what follows. */
// deno-lint-ignore no-control-regex
const CONTROL = /[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

function escaped(text: string): string {
  return text.replace(CONTROL, (each) => {
    if (each === "\n") return "\\n";
    return `\\u${each.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
}
