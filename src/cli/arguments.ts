/**
 * From the words of a command line to values by flag. `@std/cli` parses them, in the one form that
 * it takes as it stands, `--flag=value`: it knows no lists (`--data a b`), takes no separate value
 * that is empty or begins with a minus, and does not report a missing one. So the words are written
 * out in that form first.
 */
import { parseArgs } from "@std/cli/parse-args";
import type { Fault } from "../options/faults.ts";
import type { FieldInfo } from "../options/schema.ts";

/** What a flag is; its name is without dashes, `batch-size`. */
export interface Flag {
  /** The option that its faults name; of a flag that is none, its name. */
  readonly option: string;
  readonly type: FieldInfo["type"];
  /** What `--help` calls its value. */
  readonly value: string;
  /** Has a `--no-` form. */
  readonly negatable: boolean;
}

export type Flags = ReadonlyMap<string, Flag>;

/** A fault, and the word of the command line that has it. */
interface FaultyWord extends Fault {
  readonly word: string;
}

export interface Arguments {
  /** Values of the flags that are given, by name: text, texts, or true and false. */
  readonly values: ReadonlyMap<string, unknown>;
  /** All that is wrong, in the order of the words. */
  readonly faults: readonly Fault[];
}

/** Parses a command line; an unknown flag is a fault, and the word after it taken for its value. */
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
    // Or else a boolean that is not given comes out as false, and a list as empty.
    default: Object.fromEntries(names(() => true).map((name) => [name, undefined])),
    unknown: (word, key) => {
      // No flag: kept among the stray words.
      if (key === undefined) return true;
      const [place] = word.split("=");
      // Letters behind one dash are flags of their own, but one fault.
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

/** Each known flag and its value in one word; an item of a list behind the flag of the list. */
function writeOut(flags: Flags, args: readonly string[], known: readonly string[]) {
  const words: string[] = [], faulty: FaultyWord[] = [];
  const rest = [...args];
  // A list ends at the next flag: `--data a b --steps 5`.
  let list: string | undefined;
  for (let word = rest.shift(); word !== undefined; word = rest.shift()) {
    if (word === "--") {
      // None of the words after it is a flag, whatever it looks like.
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
