/**
 * Parses a command line into values by flag. `@std/cli` does the parsing, but does not support
 * lists (`--data a b`) or separate values that are empty or start with a minus, and does not report
 * missing ones. So the words are first rewritten in the form that it handles, `--flag=value`.
 */
import { parseArgs } from "../packages/std_parse_args.ts";
import type { Fault } from "../options/faults.ts";
import type { FieldInfo } from "../options/schema.ts";

/** A flag; its name has no dashes in front: `batch-size`. */
export interface Flag {
  /** The option named in its faults; for a flag without an option, its name. */
  readonly option: string;
  readonly type: FieldInfo["type"];
  /** Placeholder of its value in `--help`. */
  readonly value: string;
  /** Whether it has a `--no-` form. */
  readonly negatable: boolean;
}

export type Flags = ReadonlyMap<string, Flag>;

/** A fault, and the word that caused it. */
interface FaultyWord extends Fault {
  readonly word: string;
}

export interface Arguments {
  /** Values of the given flags, by name: a string, strings, or a boolean. */
  readonly values: ReadonlyMap<string, unknown>;
  /** All faults, in the order of the words. */
  readonly faults: readonly Fault[];
}

/** Parses a command line; an unknown flag is a fault, and the word after it counts as its value. */
export function parseArguments(flags: Flags, args: readonly string[]): Arguments {
  const names = (matches: (flag: Flag) => boolean) =>
    [...flags].filter(([, flag]) => matches(flag)).map(([name]) => name);
  const known = [
    ...[...flags.keys()].map((name) => `--${name}`),
    ...names(({ negatable }) => negatable).map((name) => `--no-${name}`),
  ];
  const { words, faulty } = writeOut(flags, args, known);
  const { _: stray, ...values } = parseArgs(words, {
    string: ["_", ...names(({ type }) => type !== "boolean")],
    boolean: names(({ type }) => type === "boolean"),
    collect: names(({ type }) => type === "list"),
    // Otherwise an absent boolean would be false, and an absent list empty.
    default: Object.fromEntries(names(() => true).map((name) => [name, undefined])),
    unknown: (word, key) => {
      // Not a flag: kept among the stray words.
      if (key === undefined) return true;
      const [place] = word.split("=");
      // Letters after a single dash are separate flags, but one fault.
      if (faulty.at(-1)?.word !== word) {
        faulty.push({ word, option: place, place, message: "unknown flag", near: [place, known] });
      }
      return false;
    },
  });
  for (const word of stray.map(String)) {
    faulty.push({ word, option: "", message: `unexpected argument ${word}` });
  }
  return {
    values: new Map(Object.entries(values).filter(([, value]) => value !== undefined)),
    faults: faulty
      .sort((a, b) => args.indexOf(a.word) - args.indexOf(b.word))
      .map(({ word: _, ...fault }) => fault),
  };
}

/** Joins each known flag and its value in one word; repeats the flag for each item of a list. */
function writeOut(flags: Flags, args: readonly string[], known: readonly string[]) {
  const words: string[] = [], faulty: FaultyWord[] = [];
  const seen = new Map<string, string>();
  const rest = [...args];
  // A list ends at the next flag: `--data a b --steps 5`.
  let list: string | undefined;
  for (let word = rest.shift(); word !== undefined; word = rest.shift()) {
    if (word === "--") {
      // After `--` no word is a flag.
      words.push(...list ? rest.map((item) => `${list}=${item}`) : [word, ...rest]);
      break;
    }
    if (!/^-./s.test(word)) {
      words.push(list ? `${list}=${word}` : word);
      continue;
    }
    list = undefined;
    const [, spelled, inline] = word.match(/^([^=]*)(?:=(.*))?$/s)!;
    if (!known.includes(spelled)) {
      words.push(word);
      continue;
    }
    const negated = !flags.has(spelled.slice(2));
    const name = spelled.slice((negated ? "--no-" : "--").length);
    const { option, type, value } = flags.get(name)!;
    const before = seen.get(name);
    // A switch may be repeated, but not contradicted.
    if (before !== undefined && type !== "list" && (type !== "boolean" || before !== spelled)) {
      const other = before === spelled ? "" : `, as ${before} and ${spelled}`;
      faulty.push({ word, option, message: `is given twice${other}: keep only one` });
    }
    seen.set(name, spelled);
    if (type === "boolean") {
      if (inline === undefined || inline === "true" || inline === "false") {
        words.push(`--${name}=${(inline === "false") === negated}`);
      } else faulty.push({ word, option, message: `takes no value, got ${inline}` });
    } else if (inline === undefined && (!rest.length || known.includes(rest[0]))) {
      faulty.push({ word, option, message: `needs a value: ${spelled} <${value}>` });
    } else {
      words.push(`${spelled}=${inline ?? rest.shift()}`);
      if (type === "list") list = spelled;
    }
  }
  return { words, faulty };
}
