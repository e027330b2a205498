/** Parquet: checks the magic bytes, the footer, and that the required columns exist. */
import { type FileMetaData, parquetMetadataAsync } from "../../packages/hyparquet.ts";
import { detectFormat } from "../../data/instruct/record_format.ts";
import type { FileRange } from "../../files/file_range.ts";
import { UserError } from "../../options/user_error.ts";
import { invalidFile } from "./faults.ts";
import type { Purpose } from "../store/file_kinds.ts";

/** The footer is parsed in one go. */
const MAX_FOOTER_BYTES = 2 * 2 ** 20;

/** What the footer tells, before any row is read. Throws an ApiError or a {@link UserError}. */
export async function checkParquet(file: FileRange, purpose: Purpose): Promise<void> {
  const tail = await file.read(Math.max(0, file.size - 8), file.size);
  const head = await file.read(0, 4);
  if (file.size < 12 || !isMark(head) || !isMark(tail.subarray(4))) {
    throw invalidFile(
      "The file is not a Parquet file, or is truncated: it must begin and end with PAR1",
    );
  }
  const footer = new DataView(tail.buffer).getUint32(0, true);
  if (footer > MAX_FOOTER_BYTES) {
    throw invalidFile(
      `The Parquet footer has ${footer} bytes, more than ${MAX_FOOTER_BYTES}: ` +
        "write it with larger row groups",
    );
  }
  const metadata = await contentsOf(file);
  if (!(metadata.num_rows > 0)) throw invalidFile("The file has no rows");
  // The first element is the root; elements below a list or a group do no harm here.
  const columns = metadata.schema.slice(1).map(({ name }) => [name, null]);
  if (purpose === "fine-tune") detectFormat(Object.fromEntries(columns), "its columns");
  else if (!columns.some(([name]) => name === "text")) {
    throw invalidFile('The file has no column "text", which pre-training reads');
  }
}

async function contentsOf(file: FileRange): Promise<FileMetaData> {
  try {
    return await parquetMetadataAsync({
      byteLength: file.size,
      slice: async (start, end = file.size) => (await file.read(start, end)).buffer,
    });
  } catch (error) {
    throw new UserError(`The Parquet footer cannot be read: ${(error as Error).message}`);
  }
}

function isMark(bytes: Uint8Array): boolean {
  return new TextDecoder().decode(bytes) === "PAR1";
}
