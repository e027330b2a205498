/** Copies what can be read only once, such as standard input, to a temporary file. */

/** Data is read more than once: to evaluate, to repeat, to resume. */
const spooled = new Map<string, Promise<string>>();

/** The path of the copy of what `open` gives, made at the first call with that name. */
export function spool(
  name: string,
  open: () => Promise<ReadableStream<Uint8Array>>,
): Promise<string> {
  const known = spooled.get(name);
  if (known) return known;
  const copied = copy(open);
  spooled.set(name, copied);
  return copied;
}

async function copy(open: () => Promise<ReadableStream<Uint8Array>>): Promise<string> {
  const path = await Deno.makeTempFile({ prefix: "data-" });
  globalThis.addEventListener("unload", () => {
    try {
      Deno.removeSync(path);
    } catch { /* already removed */ }
  });
  const file = await Deno.open(path, { write: true });
  await (await open()).pipeTo(file.writable);
  return path;
}
