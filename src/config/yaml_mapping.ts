/** The keys of a YAML or JSON file, with their lines; JSON is read as YAML. */
import { parse, YamlSyntaxError } from "../packages/std_yaml.ts";
import { unreadable } from "../data/documents.ts";
import { OptionsError } from "../options/faults.ts";
import { quoted } from "../text.ts";

export interface YamlMapping {
  readonly path: string;
  readonly values: ReadonlyMap<string, unknown>;
  /** How a message names a key: `run.yaml:12: learning_rate`. */
  place(key: string): string;
  /** `on line 12`, to refer to it from elsewhere in the file. */
  line(key: string): string;
}

/**
 * Reads a file that holds one mapping. Throws a {@link UserError} if it cannot be read, and an
 * {@link OptionsError} with file and line if it is not a mapping.
 */
export async function readYamlMapping(path: string): Promise<YamlMapping> {
  const text = await Deno.readTextFile(path).catch((error) => {
    throw unreadable(path, error);
  });
  const lines = linesOfKeys(text);
  const value = parseYaml(path, text, lines);
  if (value === null) {
    throw fault(path, "is empty: expected one option per line, such as lr: 1e-4");
  }
  if (typeof value !== "object" || Array.isArray(value)) {
    const got = Array.isArray(value) ? "a list" : quoted(value);
    throw fault(path, `must be a mapping of options to values, got ${got}`);
  }
  const lineOf = (key: string) => lines.get(key)?.[0];
  return {
    path,
    values: new Map(Object.entries(value)),
    place: (key) => `${path}${lineOf(key) ? `:${lineOf(key)}` : ""}: ${key}`,
    line: (key) => lineOf(key) ? `${key} on line ${lineOf(key)}` : key,
  };
}

function parseYaml(path: string, text: string, lines: ReadonlyMap<string, number[]>): unknown {
  try {
    return parse(text, { schema: "core" });
  } catch (error) {
    if (!(error instanceof YamlSyntaxError)) throw error;
    let [message] = error.message.split(/ at line \d+, column \d+/);
    if (message.includes("duplicated key")) {
      message = "a key is given twice: keep only one";
      const twice = [...lines].filter(([, places]) => places.length > 1);
      const faults = twice.map(([key, places]) => ({
        option: key,
        place: `${path}:${places.at(-1)}: ${key}`,
        message: `is already on line ${places[0]}: keep only one`,
      }));
      if (faults.length) throw new OptionsError(faults);
    }
    throw fault(`${path}:${error.line}`, [message, error.snippet].filter(Boolean).join("\n"));
  }
}

function fault(place: string, message: string): OptionsError {
  return new OptionsError([{ option: "", place, message }]);
}

/**
 * The lines, from 1, of each key of the outermost mapping. The parser reports none, so the text is
 * searched for the least indented words before a colon: correct for files with one option per line;
 * for others, messages lack a line.
 */
function linesOfKeys(text: string): Map<string, number[]> {
  const found = text.split(/\r?\n/).flatMap((line, index) => {
    const match = /^\uFEFF?(\s*)(?:"([^"]*)"|'([^']*)'|([\w.-]+))\s*:(?=\s|$|["'[{\d])/.exec(line);
    if (!match) return [];
    const [, indent, double, single, bare] = match;
    return [{ key: double ?? single ?? bare, indent: indent.length, line: index + 1 }];
  });
  const least = Math.min(...found.map(({ indent }) => indent));
  const lines = new Map<string, number[]>();
  for (const { key, indent, line } of found) {
    if (indent === least) lines.set(key, [...lines.get(key) ?? [], line]);
  }
  return lines;
}
