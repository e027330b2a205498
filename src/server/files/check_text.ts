/** Checks that a file is a text. */
import type { ByteSource } from "../../data/byte_source.ts";
import { UserError } from "../../options/user_error.ts";
import type { Pace } from "./pace.ts";

/** Throws a {@link UserError} if it is blank, or with the bytes that are not UTF-8. */
export async function checkText(source: ByteSource, pace: Pace): Promise<void> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let offset = 0, blank = true;
  const fault = (what: string) => new UserError(`The file is not UTF-8 text, ${what}`);
  for await (const chunk of source.chunks()) {
    await pace.keep();
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
  if (blank) throw new UserError("The file contains only white space");
}
