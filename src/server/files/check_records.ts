/** JSON records, one per line or in one array; each must be readable by training. */
import { arrayElements, isJsonSpace } from "../../data/json_array.ts";
import { linesOf, OPEN_ARRAY, peek } from "../../data/jsonl_reader.ts";
import { parseJson } from "../../files/json_value.ts";
import { detectFormat, recordFormat } from "../../data/instruct/record_format.ts";
import { toExample } from "../../data/instruct/records.ts";
import { Faults, invalidFile } from "./faults.ts";
import type { Purpose } from "../store/file_kinds.ts";
import { Pace } from "./pace.ts";

/**
 * Largest record: about a million tokens, more than any training sequence, while parsing it blocks
 * other requests for only a few milliseconds.
 */
export const MAX_RECORD_BYTES = 4 * 2 ** 20;

/**
 * Reads all records and returns their number. A file has one layout, that of its first valid
 * record. Throws an ApiError 400 with the first bad lines and their number.
 */
export async function checkRecords(
  source: AsyncGenerator<Uint8Array>,
  { filename, purpose }: { readonly filename: string; readonly purpose: Purpose },
): Promise<number> {
  const faults = new Faults(), pace = new Pace();
  let format = purpose === "pretrain" ? recordFormat("text") : undefined;
  let records = 0;
  for await (const { bytes, line } of recordsOf(source, filename)) {
    const where = `line ${line}`;
    await pace.keep();
    records++;
    try {
      const value = parse(bytes);
      format ??= detectFormat(value, where);
      toExample(value, format, where);
    } catch (error) {
      faults.add(error, namesPlace(error, where) ? undefined : where);
    }
  }
  faults.finish(records);
  if (records === 0) throw invalidFile("The file has no records, only white space");
  return records;
}

interface FoundRecord {
  readonly bytes: Uint8Array;
  /** Its first line, counted from 1. */
  readonly line: number;
}

/** The first byte distinguishes lines from an array, as in training. */
async function* recordsOf(
  source: AsyncGenerator<Uint8Array>,
  filename: string,
): AsyncGenerator<FoundRecord> {
  let held = 0, line = 1;
  const limit = (bytes: number) => {
    if (bytes <= MAX_RECORD_BYTES) return;
    throw invalidFile(
      `line ${line}: a record may have at most ${MAX_RECORD_BYTES / 2 ** 20} MiB; ` +
        "does the file have one record per line? (Upload long texts for pre-training as .txt.)",
    );
  };
  // Stop at records that do not end.
  const limited = async function* () {
    for await (const chunk of source) {
      limit(held);
      held += chunk.length;
      yield chunk;
    }
  };
  const { first, chunks } = await peek(limited());
  const found = first === OPEN_ARRAY ? arrayElements(filename, chunks) : numbered(linesOf(chunks));
  for await (const record of found) {
    held = 0;
    line = record.line;
    limit(record.bytes.length);
    yield record;
  }
}

/** Lines that are not blank. */
async function* numbered(
  lines: AsyncIterable<{ readonly bytes: Uint8Array }>,
): AsyncGenerator<FoundRecord> {
  let line = 0;
  for await (const { bytes } of lines) {
    line++;
    if (!bytes.every(isJsonSpace)) yield { bytes, line };
  }
}

/** A byte order mark is dropped. */
function parse(bytes: Uint8Array): unknown {
  let text;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new Error("is not UTF-8 text");
  }
  try {
    return parseJson(text);
  } catch (error) {
    throw new Error(`is not valid JSON: ${(error as Error).message}`);
  }
}

const namesPlace = (error: unknown, where: string) => (error as Error).message.startsWith(where);
