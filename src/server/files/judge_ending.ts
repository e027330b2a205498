/** The format of an upload: by its name, and of one without an ending by its content. */
import { extname } from "../../packages/std_path.ts";
import { detectFormat } from "../../data/instruct/record_format.ts";
import { COMPRESSIONS } from "../../data/compression.ts";
import { dataEnding, judgeContent, SUPPORTED } from "../../data/formats.ts";
import { UserError } from "../../options/user_error.ts";
import { ENDINGS, type Purpose, suits } from "../store/file_kinds.ts";
import { describeFault, invalidFile } from "./faults.ts";

/** An upload whose format is to be known. */
export interface FileToJudge {
  readonly path: string;
  /** The client's name for it. */
  readonly filename: string;
  readonly purpose: Purpose;
}

/**
 * Whether a format can be found for a file of that name, whatever is in it. Clients name bytes in
 * memory `upload` or `blob`; another ending is rather a file that is no data.
 */
export function mayBeData(filename: string): boolean {
  return dataEnding(filename) !== undefined || extname(filename) === "";
}

/**
 * The ending that an upload's name lacks; undefined if it has one. Throws an ApiError 400 if the
 * format cannot be known, does not suit the purpose, or is not what the name says.
 */
export async function judgeEnding(file: FileToJudge): Promise<string | undefined> {
  const { path, filename, purpose } = file, named = dataEnding(filename);
  if (named !== undefined && !suits(named, purpose)) {
    throw invalidFile(
      `${filename}: file names for ${purpose} must end in ${ENDINGS[purpose].join(", ")}`,
    );
  }
  const judged = await judgeContent({ path, label: filename }).catch((error) => {
    if (!(error instanceof UserError)) throw error;
    // Where the name gives a format, its reader reports what is wrong.
    return named === undefined ? Promise.reject(invalidFile(describeFault(error))) : undefined;
  });
  if (named !== undefined) {
    if (judged) refuseOther(filename, named, judged.ending);
    return undefined;
  }
  const { ending, text = "" } = judged!, format = withoutPacking(ending);
  return (format === ".txt" ? endingOfText(text, file) : format) + ending.slice(format.length);
}

/** JSON that is broken from its start, a table by its header, or a text to pre-train on. */
function endingOfText(text: string, { filename, purpose }: FileToJudge): string {
  const table = tableEnding(text, purpose);
  if (table !== undefined) return table;
  if (purpose === "pretrain") return ".txt";
  if (/^\ufeff?\s*([{[]|$)/.test(text)) return ".jsonl";
  throw invalidFile(
    `${filename}: has no file ending, and its content is in no format of examples: neither JSON, ` +
      "nor a table whose first line names their columns (prompt,completion). Name it by its " +
      `format; ${SUPPORTED}`,
  );
}

/** Whether the first line is the header of a table of the wanted records. */
function tableEnding(text: string, purpose: Purpose): string | undefined {
  const [line] = text.replace("\ufeff", "").split(/\r?\n/, 1);
  for (const [separator, ending] of [["\t", ".tsv"], [",", ".csv"]] as const) {
    const columns = line.split(separator).map((name) => name.trim().replace(/^"(.*)"$/, "$1"));
    if (columns.length > 1 && haveRecords(columns, purpose)) return ending;
  }
}

function haveRecords(columns: readonly string[], purpose: Purpose): boolean {
  if (purpose === "pretrain") return columns.includes("text");
  try {
    detectFormat(Object.fromEntries(columns.map((name) => [name, null])), "");
    return true;
  } catch (error) {
    if (error instanceof UserError) return false;
    throw error;
  }
}

const TABLES = [".parquet", ".arrow"];

/** Refuses a name that hides a format which its reader would not recognise. */
function refuseOther(filename: string, named: string, judged: string): void {
  const [name, content] = [named, judged].map(withoutPacking);
  const packed = judged.slice(content.length);
  const isTable = TABLES.includes(content);
  const wrong = isTable
    ? name !== content && !(name === ".feather" && content === ".arrow")
    : content.startsWith(".json") && [".csv", ".tsv"].includes(name);
  const notPacked = named.slice(name.length) !== "" && packed === "";
  if (!wrong && !notPacked) return;
  const right = wrong ? content + packed : name;
  throw invalidFile(
    `${filename}: is named as ${named}, but its content is that of ${right}: rename it`,
  );
}

function withoutPacking(ending: string): string {
  const packed = Object.keys(COMPRESSIONS).find((each) => ending.endsWith(each)) ?? "";
  return ending.slice(0, ending.length - packed.length);
}
