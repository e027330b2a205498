/** Shared by the tests of the data. */
import { fromFileUrl, join } from "@std/path";

export const DATA: string = fromFileUrl(import.meta.resolve("../fixtures/data/"));
export const SHAKESPEARE: string = fromFileUrl(
  import.meta.resolve("../../examples/data/tinyshakespeare.txt"),
);

/** Runs with a temporary folder of the given files. */
export async function withFiles(
  files: Record<string, string | Uint8Array>,
  run: (folder: string) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    for (const [name, content] of Object.entries(files)) {
      await Deno.mkdir(join(folder, name, ".."), { recursive: true });
      const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
      await Deno.writeFile(join(folder, name), bytes);
    }
    await run(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** JSON Lines of one field. */
export function jsonl(texts: readonly string[], field = "text"): string {
  return texts.map((text) => JSON.stringify({ [field]: text }) + "\n").join("");
}

/** The texts of c4.jsonl, read without the code under test. */
export async function c4Texts(): Promise<string[]> {
  const lines = (await Deno.readTextFile(DATA + "c4.jsonl")).trimEnd().split("\n");
  return lines.map((line) => JSON.parse(line).text);
}
