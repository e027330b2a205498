/** Copies of what can be read only once: data is read again to evaluate, to repeat, to resume. */
import { writeAll } from "../files/atomic.ts";
import { explainWriteError } from "../files/disk_error.ts";

/** Writes a temporary file, which is removed when the program ends, and returns its path. */
export async function temporaryFile(chunks: AsyncIterable<Uint8Array>): Promise<string> {
  const path = await Deno.makeTempFile({ prefix: "data-" });
  const remove = () => {
    try {
      Deno.removeSync(path);
    } catch { /* already removed */ }
  };
  globalThis.addEventListener("unload", remove);
  try {
    using file = await Deno.open(path, { write: true });
    for await (const chunk of chunks) await write(file, chunk, path);
  } catch (error) {
    remove();
    throw error;
  }
  return path;
}

async function write(file: Deno.FsFile, chunk: Uint8Array, path: string): Promise<void> {
  await writeAll(file, chunk).catch((error) => {
    throw explainWriteError(error, path, {
      lost: ", where data that can be read only once is kept",
      hint: "free some space, or name another folder in the environment's TMPDIR",
    });
  });
}
