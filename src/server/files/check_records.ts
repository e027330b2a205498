/** Reads all of an upload's records, with the code that training reads them with. */
import { openFile } from "../../data/formats.ts";
import { detectFormat, recordFormat } from "../../data/instruct/record_format.ts";
import { toExample } from "../../data/instruct/records.ts";
import { UserError } from "../../options/user_error.ts";
import { checkText } from "./check_text.ts";
import { describeFault, Faults, type FoundFaults } from "./faults.ts";
import type { Purpose } from "../store/file_kinds.ts";
import type { FileContents } from "../store/records.ts";
import { Pace } from "./pace.ts";

/**
 * Largest record of JSON: about a million tokens, more than any training sequence, while parsing it
 * blocks other requests for only a few milliseconds.
 */
export const MAX_RECORD_BYTES = 4 * 2 ** 20;

export interface FileToCheck {
  readonly path: string;
  /** The client's name for it. */
  readonly filename: string;
  /** What its name lacks. */
  readonly ending?: string;
  readonly purpose: Purpose;
}

/** The name that determines its format. */
export const nameOf = ({ filename, ending = "" }: Pick<FileToCheck, "filename" | "ending">) =>
  filename + ending;

/** Plain JSON, for it may come from another process. */
export interface CheckedRecords extends FoundFaults {
  /** Their number; 0 for a text. */
  readonly records: number;
  /** Why the file could not be read to its end. */
  readonly ended?: string;
  readonly isText: boolean;
  readonly contents: FileContents;
}

/** A file has one layout, that of its first valid record. */
export async function checkRecords(given: FileToCheck): Promise<CheckedRecords> {
  const { path, filename, purpose } = given, contents = { chat: 0, completion: 0, text: 0 };
  const faults = new Faults(), pace = new Pace();
  let records = 0,
    isText = false,
    format = purpose === "pretrain" ? recordFormat("text") : undefined;
  const onInvalid = async (error: UserError) => {
    await pace.keep();
    records++;
    faults.add(error);
  };
  try {
    const opened = await openFile({ path, label: filename, name: nameOf(given) });
    isText = opened.records === undefined;
    if (opened.text) await checkText(opened.text, pace);
    const read = opened.records?.(undefined, { onInvalid, maxBytes: MAX_RECORD_BYTES }) ?? [];
    for await (const { value, where, fromTable } of read) {
      await pace.keep();
      records++;
      try {
        format ??= detectFormat(value, where);
        contents[toExample(value, format, where, { fromTable }).kind]++;
      } catch (error) {
        faults.add(error);
      }
    }
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return { records, isText, contents, ...faults.found, ended: describeFault(error) };
  }
  return { records, isText, contents, ...faults.found };
}
