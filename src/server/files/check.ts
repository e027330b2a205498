/** Validates all of a file for its purpose before it is kept. */
import { FileRange } from "../../files/file_range.ts";
import { UserError } from "../../options/user_error.ts";
import { checkParquet } from "./check_parquet.ts";
import { checkRecords } from "./check_records.ts";
import { checkRows } from "./parquet_rows.ts";
import { describeFault, invalidFile } from "./faults.ts";
import { endingOf, type Purpose } from "../store/file_kinds.ts";

const CHUNK_BYTES = 1 << 16;

export interface FileToCheck {
  readonly path: string;
  /** The client's name for it. */
  readonly filename: string;
  readonly purpose: Purpose;
}

/**
 * Reads a file from start to end in chunks. Returns its number of records (0 for a text). Throws an
 * ApiError 400 that names the first bad lines.
 */
export async function checkFile(
  { path, filename, purpose }: FileToCheck,
): Promise<number> {
  const file = await FileRange.open(path);
  try {
    if (file.size === 0) throw invalidFile("The file is empty");
    const chunks = chunksOf(file);
    switch (endingOf(filename)) {
      case ".parquet":
        return await checkTable(file, { path, filename, purpose });
      case ".txt":
        return await checkText(chunks);
      default:
        return await checkRecords(chunks, { filename, purpose });
    }
  } catch (error) {
    throw error instanceof UserError ? invalidFile(describeFault(error)) : error;
  } finally {
    file.close();
  }
}

async function checkTable(file: FileRange, given: FileToCheck): Promise<number> {
  const rows = await checkParquet(file, given.purpose);
  await checkRows(given);
  return rows;
}

async function* chunksOf(file: FileRange): AsyncGenerator<Uint8Array> {
  for (let offset = 0; offset < file.size; offset += CHUNK_BYTES) {
    yield await file.read(offset, offset + CHUNK_BYTES);
  }
}

async function checkText(chunks: AsyncIterable<Uint8Array>): Promise<0> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let offset = 0, blank = true;
  const fault = (what: string) => invalidFile(`The file is not UTF-8 text, ${what}`);
  for await (const chunk of chunks) {
    try {
      if (decoder.decode(chunk, { stream: true }).trim() !== "") blank = false;
    } catch {
      throw fault(`between bytes ${offset} and ${offset + chunk.length}`);
    }
    offset += chunk.length;
  }
  try {
    decoder.decode();
  } catch {
    throw fault("at its end: is it truncated within a character?");
  }
  if (blank) throw invalidFile("The file contains only white space");
  return 0;
}
