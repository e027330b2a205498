/** Resolves the files, folders and patterns named by the user to files, in a fixed order. */
import { basename, join, SEPARATOR_PATTERN } from "../packages/std_path.ts";
import { otherSplits } from "../hub/data_selection.ts";
import { type HubOptions, isHubSpec, resolveData } from "../hub/hub.ts";
import { listOf } from "../hub/selection.ts";
import { UserError } from "../options/user_error.ts";
import { quoted } from "../text.ts";
import { sampledContent } from "../files/sampled_content.ts";
import { absent } from "../files/absent.ts";
import { isForbidden } from "../files/stat.ts";
import { unreadable } from "./documents.ts";
import type { DataSpec } from "./data.ts";
import { isPattern, leftOutText, type Walk, walkFolder, walkPattern } from "./folder_walk.ts";
import { hasDataName, type OpenedFile, openFile, SUPPORTED } from "./formats.ts";
import { openMemory } from "./memory_file.ts";
import { spool } from "./spool.ts";

export interface DataFile extends OpenedFile {
  /** As messages name it. */
  readonly path: string;
  /** The path relative to the named folder, so that it does not change when that moves. */
  readonly name: string;
  /** Bytes on the disk, or as lines of JSON; 0 for data that is made anew at each pass. */
  readonly size: number;
  /** Of data in memory: a hash. */
  readonly content?: number;
  /** Of a file: a hash of samples, by which a change is noticed. */
  readonly sampled?: () => Promise<string>;
  /** Whether it is made anew at each pass, and possibly endless. */
  readonly isStreamed?: boolean;
}

/** The data that specifications name. */
export interface Listing {
  readonly files: readonly DataFile[];
  /** For the user: what was left out. */
  readonly notes: readonly string[];
}

/** Whether a name that names no file reads like a text. */
function isProse(spec: string): boolean {
  return spec.includes("\n") || spec.length > 255 || /\s\S+\s.*[.!?…]$/.test(spec);
}

const PROSE_HINT =
  'a string in a list is a path; a text is a record, { "text": "…" }, or in a list ' +
  "of its own";

/** Standard input, where a file is expected. */
const STDIN = "-";

export function isText(file: DataFile): boolean {
  return file.records === undefined;
}

/**
 * The files named by the specifications: a file, a folder, searched recursively and sorted, a
 * pattern such as `data/*.jsonl`, `-` for standard input, or a data set of the hub (`hf:…`), which
 * is downloaded. `~` stands for the user's folder. Data in memory is one file more. Throws a {@link
 * UserError} on missing files and unknown kinds.
 */
export async function listFiles(specs: readonly DataSpec[], hub?: HubOptions): Promise<Listing> {
  const files: DataFile[] = [], notes: string[] = [];
  for (const spec of specs) {
    const found = await filesOf(spec, hub);
    files.push(...found.files);
    notes.push(...found.notes);
  }
  if (files.length === 0) throw new UserError("data: no file given");
  const [first, ...others] = files.filter(({ looksLike }) => looksLike);
  if (first) {
    const more = others.length ? ` (and ${others.length} more)` : "";
    const ending = more
      ? "their names the ending .jsonl, or .json of a list,"
      : `its name the ending ${first.looksLike}`;
    notes.push(
      `data ${first.path}${more}: begins as JSON but is read as text, with its punctuation and field ` +
        `names; give ${ending} to train on its texts alone`,
    );
  }
  return { files, notes };
}

async function filesOf(spec: DataSpec, hub?: HubOptions): Promise<Listing> {
  if (typeof spec !== "string") {
    const file = { path: spec.label, name: spec.label, ...await openMemory(spec) };
    return { files: [file], notes: [] };
  }
  if (isHubSpec(spec)) return { files: await filesOfHub(spec, hub), notes: [] };
  if (spec === STDIN) {
    const path = await spool(STDIN, () => Promise.resolve(Deno.stdin.readable));
    return { files: [await dataFile(path, STDIN, "standard input")], notes: [] };
  }
  const path = withHome(spec);
  const info = await Deno.stat(path).catch((error) => {
    // Windows refuses the name itself.
    if (isForbidden(error)) throw unreadable(`data ${spec}`, error);
    if (isProse(spec)) throw new UserError(`data ${quoted(spec)}: no such file`, PROSE_HINT);
    if (isPattern(path)) return undefined;
    if (error instanceof Deno.errors.NotFound) return absent("data", spec);
    throw unreadable(`data ${spec}`, error);
  });
  if (!info) return await filesIn(spec, () => walkPattern(path));
  if (info.isDirectory) return await filesIn(spec, () => walkFolder(path));
  if (info.isFile) return { files: [await dataFile(path, basename(path))], notes: [] };
  if (!info.isFifo) throw new UserError(`data ${spec}: is a device or a socket, not a file`);
  const copy = await spool(path, async () => (await Deno.open(path)).readable);
  return { files: [await dataFile(copy, basename(path), path)], notes: [] };
}

async function filesIn(spec: string, walk: () => Promise<Walk>): Promise<Listing> {
  const found = await walk().catch((error) => {
    throw unreadable(`data ${spec}`, error);
  });
  const note = leftOutText(spec, found);
  if (found.files.length === 0) {
    const what = isPattern(spec) ? "no data file matches" : "has no data file";
    throw new UserError(`data ${spec}: ${what}${note ? ` (${note})` : ""}`, SUPPORTED);
  }
  const files = [];
  for (const { path, name } of found.files) files.push(await dataFile(path, name));
  const notes = note ? [note] : [];
  const others = otherSplits(files.map(({ name }) => name));
  if (others.length > 0) {
    notes.push(
      `data ${spec}: ${listOf(others)}, of other splits by name, belong to the data too`,
    );
  }
  return { files, notes };
}

/** As a shell does outside of quotes. */
function withHome(path: string): string {
  if (path.split(SEPARATOR_PATTERN)[0] !== "~") return path;
  const home = Deno.env.get("HOME") ?? Deno.env.get("USERPROFILE");
  return home ? home + path.slice(1) : path;
}

/** The hub's .md files describe the data. */
async function filesOfHub(spec: string, hub?: HubOptions): Promise<DataFile[]> {
  const isData = (path: string) => hasDataName(path) && !/\.md$/i.test(path);
  const { folder, files } = await resolveData(spec, isData, hub);
  return await Promise.all(files.map((name) => dataFile(join(folder, name), name)));
}

async function dataFile(path: string, name: string, label = path): Promise<DataFile> {
  const opened = await openFile({ path, label });
  const { size } = await Deno.stat(path);
  return { path: label, name, size, sampled: () => sampledContent(path, size), ...opened };
}
