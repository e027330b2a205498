/** The files of a folder, or those that match a pattern, and what is left out of it, with reasons. */
import { dirname, globToRegExp, join, SEPARATOR_PATTERN } from "../packages/std_path.ts";
import { listOf } from "../hub/selection.ts";
import { statOf } from "../files/stat.ts";
import { hasDataName } from "./formats.ts";

/** A file below a folder. */
export interface FoundFile {
  readonly path: string;
  /** Relative to the folder. */
  readonly name: string;
}

/** What a folder holds besides data. */
export interface LeftOut {
  readonly name: string;
  readonly reason: string;
}

export interface Walk {
  /** Sorted by name. */
  readonly files: readonly FoundFile[];
  readonly leftOut: readonly LeftOut[];
}

interface WalkOptions {
  /** Which files are wanted, by their names; all by default. */
  readonly wants?: (name: string) => boolean;
  /** Which folders below are searched. */
  readonly enters?: (name: string) => boolean;
  /** Whether a file's name must end as a data file's; true by default. */
  readonly byName?: boolean;
}

/** Files that describe a data set rather than belong to it. */
const DESCRIPTIONS = new RegExp(
  "^((readme|licen[cs]e|notice|copying|citation|changelog|contributing|authors|code_of_conduct|" +
    "security)(\\.(md|txt|rst|cff|bib))?|dataset_infos?\\.json|dataset_dict\\.json)$",
  "i",
);

/** Written by datasets' save_to_disk beside dataset_info.json. */
const STATE = "state.json";

/** The split to train on, of a DatasetDict that save_to_disk wrote. */
const TRAIN = "train";

/**
 * The data files of a folder and of the folders in it. Hidden ones are skipped; what is no regular
 * file is never opened, since reading a pipe could wait forever.
 */
export async function walkFolder(folder: string, options: WalkOptions = {}): Promise<Walk> {
  const { wants = () => true, enters = () => true, byName = true } = options;
  const files: FoundFile[] = [], leftOut: LeftOut[] = [];
  const leaveOut = (name: string, reason: string) => leftOut.push({ name, reason });
  const visit = async (below: string, around: readonly string[]) => {
    const real = await Deno.realPath(join(folder, below));
    if (around.includes(real)) return leaveOut(below, "a link to a folder around it");
    const entries = await Array.fromAsync(Deno.readDir(join(folder, below)));
    const has = (name: string) => entries.some((entry) => entry.name === name);
    const saved = has("dataset_info.json"), hasSplits = has("dataset_dict.json") && has(TRAIN);
    for (const { name: own } of entries) {
      if (own.startsWith(".")) continue;
      const name = below ? `${below}/${own}` : own, path = join(folder, name);
      const info = await Deno.stat(path).catch(() => undefined); // follows links
      if (info?.isDirectory) {
        if (hasSplits && own !== TRAIN) leaveOut(name, "another split than train");
        else if (enters(name)) await visit(name, [...around, real]);
      } else if (!wants(name)) continue;
      else if (!info) leaveOut(name, "a link that leads nowhere");
      else if (!info.isFile) leaveOut(name, "no regular file");
      else if (DESCRIPTIONS.test(own) || (saved && own === STATE)) leaveOut(name, "a description");
      else if (byName && !hasDataName(own)) leaveOut(name, "no data file by its name");
      else files.push({ path, name });
    }
  };
  await visit("", []);
  return { files: files.sort(byNames), leftOut: leftOut.sort(byNames) };
}

function byNames(a: { readonly name: string }, b: { readonly name: string }): number {
  return a.name < b.name ? -1 : 1;
}

/** Whether a path has characters that a shell would expand. */
export function isPattern(path: string): boolean {
  return /[*?[{]/.test(path);
}

/**
 * The files that match a pattern, `**` included; of a folder that does, all data files. A pattern
 * that ends in more than a star, such as `*.log`, chooses files whatever their names end in.
 */
export async function walkPattern(pattern: string): Promise<Walk> {
  const { folder, rest } = await splitPattern(pattern, isFolder);
  const rule: RegExp = globToRegExp(rest);
  const deep = rest.includes("**"), depth = rest.split(SEPARATOR_PATTERN).length;
  const matches = (name: string): boolean =>
    rule.test(name) || (name.includes("/") && matches(dirname(name)));
  return await walkFolder(folder, {
    wants: matches,
    enters: (name) => deep || name.split("/").length < depth || matches(name),
    byName: rest.endsWith("*"),
  });
}

/**
 * Splits a path before the first part that is a pattern, which `notes [2024]` is not if it is a
 * folder. `separator` is this system's; Windows has two.
 */
export async function splitPattern(
  pattern: string,
  isFolder: (path: string) => Promise<boolean>,
  separator: RegExp = SEPARATOR_PATTERN,
): Promise<{ folder: string; rest: string }> {
  let start = 0;
  for (const { 0: { length }, index } of pattern.matchAll(new RegExp(separator, "g"))) {
    if (isPattern(pattern.slice(start, index)) && !await isFolder(pattern.slice(0, index))) break;
    start = index + length;
  }
  return { folder: pattern.slice(0, start) || ".", rest: pattern.slice(start) };
}

async function isFolder(path: string): Promise<boolean> {
  return (await statOf(path))?.isDirectory ?? false;
}

/** One line on what was left out; undefined if nothing was. */
export function leftOutText(spec: string, { leftOut }: Walk): string | undefined {
  if (leftOut.length === 0) return undefined;
  const reasons = Map.groupBy(leftOut, ({ reason }) => reason);
  const groups = [...reasons].map(([reason, each]) =>
    `${listOf(each.map(({ name }) => name))} (${reason})`
  );
  return `data ${spec}: left out ${groups.join(", ")}`;
}
