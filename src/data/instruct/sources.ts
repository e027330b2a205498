/** Reads examples from the sources named by the user. */
import { UserError } from "../../options/user_error.ts";
import type { DataRecord } from "../jsonl_reader.ts";
import { isObject } from "../../files/fields.ts";
import { type Data, dataSources, type DataSpec } from "../data.ts";
import { type DataFile, isText, listFiles } from "../files.ts";
import { declaredFormat } from "./declared_format.ts";
import type { Example } from "./example.ts";
import { detectFormat, type FormatName, type RecordFormat, recordFormat } from "./record_format.ts";
import { RecordError } from "./record_values.ts";
import { toExample } from "./records.ts";

/** A data set: a file, a folder, or data in memory. */
export interface ExampleSource {
  /** A path, `hf:…`, or data in memory. */
  readonly spec: DataSpec;
  /** For reports; by default the specification. */
  readonly name?: string;
  /** By default detected from each file's first record. */
  readonly format?: RecordFormat;
  /** Maximum number of examples, from the start. */
  readonly limit?: number;
}

/** What examples are read from. */
export type ExampleData = Data | readonly (string | ExampleSource)[];

/** The sources of data, with the option's name as their label. Throws if it is none. */
export function exampleSources(data: ExampleData, label = "data"): ExampleSource[] {
  if (areSources(data)) {
    return data.map((each) => typeof each === "string" ? { spec: each } : each);
  }
  return dataSources(data as Data, label).map((source) => {
    if (typeof source === "string" || !("rows" in source)) return { spec: source };
    const { rows, label: name, ...entry } = source, faults: string[] = [];
    const format = declaredFormat(entry, (fault) => faults.push(fault));
    if (faults.length) throw new UserError(`${name}: ${faults.join("\n  ")}`);
    return { spec: rows, format };
  });
}

const SOURCE_FIELDS = ["spec", "name", "format", "limit"];

/** Whether these are {@link ExampleSource}s, perhaps with paths among them, and not records. */
function areSources(data: ExampleData): data is readonly (string | ExampleSource)[] {
  const isExampleSource = (each: unknown) =>
    isObject(each) && "spec" in each &&
    Object.keys(each).every((name) => SOURCE_FIELDS.includes(name));
  return Array.isArray(data) &&
    data.every((each) => typeof each === "string" || isExampleSource(each));
}

export function sourcesOf(
  specs: readonly DataSpec[],
  { format, limit }: { format?: FormatName; limit?: number } = {},
): ExampleSource[] {
  return specs.map((spec) => ({ spec, format: format && recordFormat(format), limit }));
}

/**
 * Whether the files are for instruction tuning, or plain texts (`.txt`, `.md`) for continued
 * pre-training, which {@link BatchStream} packs regardless of where a text ends. Records with a
 * `text` are instruction data: each is a separate example.
 */
export async function kindOfData(data: ExampleData): Promise<"instruct" | "text"> {
  const { files } = await listFiles(exampleSources(data).map(({ spec }) => spec));
  const texts = files.filter(isText);
  if (texts.length === 0) return "instruct";
  if (texts.length === files.length) return "text";
  throw new UserError(
    `data: ${texts[0].path} is a text, ${files.find((file) => !isText(file))!.path} has records: ` +
      "a run takes only one kind",
    'convert the texts to records: {"text": "…"}, one per line',
  );
}

export interface SourceFiles {
  readonly source: ExampleSource;
  readonly files: readonly DataFile[];
  /** For the user: what was left out. */
  readonly notes: readonly string[];
}

/** Lists the files of the sources; throws a {@link UserError} on one without records. */
export async function listSources(sources: readonly ExampleSource[]): Promise<SourceFiles[]> {
  const listed: SourceFiles[] = [];
  for (const source of sources) {
    const { files, notes } = await listFiles([source.spec]);
    const text = files.find(isText);
    if (text) {
      throw new UserError(
        `${text.path}: a text has no examples`,
        'convert it to records, {"text": "…"} one per line, or train only on texts',
      );
    }
    listed.push({ source, files, notes });
  }
  if (listed.length === 0) throw new UserError("data: no file given");
  return listed;
}

type OnUnusable = (error: RecordError, where: string) => void;

/**
 * The examples of the listed files, in order. A record that cannot be used as it is is handed to
 * `onUnusable`, if given, or ends the reading with its {@link RecordError}.
 */
export async function* examplesOf(
  listed: readonly SourceFiles[],
  onUnusable?: OnUnusable,
  onFile?: (file: DataFile) => void,
): AsyncGenerator<Example> {
  for (const { source, files } of listed) {
    let left = source.limit ?? Infinity;
    for (const file of files) {
      if (left === 0) break;
      onFile?.(file);
      let format = source.format;
      for await (const { value, where, fromTable } of file.records!()) {
        format ??= detectFormat(value, where);
        const example = tryExample({ value, where, fromTable }, format, onUnusable);
        if (example) yield example;
        left--;
        if (left === 0) break;
      }
    }
  }
}

function tryExample(
  { value, where, fromTable }: Omit<DataRecord, "place">,
  format: RecordFormat,
  onUnusable?: OnUnusable,
): Example | undefined {
  try {
    return toExample(value, format, where, { fromTable });
  } catch (error) {
    if (!(error instanceof RecordError) || !onUnusable) throw error;
    onUnusable(error, where);
  }
}
