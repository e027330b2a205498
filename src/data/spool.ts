/** Standard input and pipes, by name: each is copied once. */
import { temporaryFile } from "./temporary_file.ts";

const spooled = new Map<string, Promise<string>>();

/** The path of the copy of what `open` gives, made at the first call with that name. */
export function spool(
  name: string,
  open: () => Promise<ReadableStream<Uint8Array>>,
): Promise<string> {
  const known = spooled.get(name);
  if (known) return known;
  const copied = open().then(temporaryFile);
  spooled.set(name, copied);
  return copied;
}
