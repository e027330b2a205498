/** Validates all of a file for its purpose before it is kept. */
import { dataEnding, openBytes } from "../../data/formats.ts";
import { FileRange } from "../../files/file_range.ts";
import { UserError } from "../../options/user_error.ts";
import { askRecords } from "./ask_records.ts";
import { checkParquet } from "./check_parquet.ts";
import { type CheckedRecords, checkRecords, type FileToCheck, nameOf } from "./check_records.ts";
import { describeFault, Faults, invalidFile } from "./faults.ts";

/**
 * Reads a file from start to end, as training does. Returns the number of its records (0 for a text),
 * in all and by kind. Throws an ApiError 400 that names the first bad records.
 */
export async function checkFile(
  given: FileToCheck,
): Promise<Pick<CheckedRecords, "records" | "contents">> {
  const { records, contents, isText, ended, ...found } = await checked(given);
  if (ended !== undefined) throw invalidFile(ended);
  new Faults(found).finish(records);
  if (records === 0 && !isText) throw invalidFile("The file has no records, only white space");
  return { records, contents };
}

async function checked(given: FileToCheck): Promise<CheckedRecords> {
  const { path, purpose } = given, ending = dataEnding(nameOf(given));
  const file = await FileRange.open(path);
  try {
    if (file.size === 0) throw invalidFile("The file is empty");
    if (ending === ".parquet") await checkParquet(file, purpose);
    return await isBounded(given) ? await checkRecords(given) : await askRecords(given);
  } catch (error) {
    throw error instanceof UserError ? invalidFile(describeFault(error)) : error;
  } finally {
    file.close();
  }
}

const BOUNDED = [".jsonl", ".ndjson", ".json", ".txt", ".md"];

/** Whether reading it takes time by its size, little memory, and pauses that let others be served. */
async function isBounded(given: FileToCheck): Promise<boolean> {
  const { path, filename: label } = given, name = nameOf(given);
  if (!BOUNDED.includes(dataEnding(name) ?? "")) return false;
  return !(await openBytes({ path, label, name })).packed;
}
