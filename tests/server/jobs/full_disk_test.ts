/** Real training processes that may write no file beyond a size, as where a disk is full. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { join } from "@std/path";
import { type Bench, withQueue } from "./support.ts";

/** The `bash` limit, in KiB, of each file that a training process writes; none if undefined. */
async function withLimit(use: (limit: (kib?: number) => void, bench: Bench) => Promise<void>) {
  await withQueue(async (bench) => {
    const execPath = Deno.execPath, deno = Deno.execPath();
    const program = (kib: number) => {
      const path = join(bench.folder, `deno-${kib}`);
      const script = `#!/bin/bash\ntrap "" XFSZ\nulimit -f ${kib}\nexec '${deno}' "$@"\n`;
      Deno.writeTextFileSync(path, script, { mode: 0o700 });
      return path;
    };
    try {
      await use((kib) => {
        const path = kib === undefined ? deno : program(kib);
        Deno.execPath = () => path;
      }, bench);
    } finally {
      Deno.execPath = execPath;
    }
  });
}

const names = (folder: string) => [...Deno.readDirSync(folder)].map(({ name }) => name);
const steps = ({ store }: Bench, id: string) =>
  store.events.metrics(id).filter(({ data }) => data.train_loss !== undefined)
    .map(({ step }) => step);

for (const [what, kib] of [["checkpoint", 100], ["journal", 4]] as const) {
  Deno.test({
    name:
      `a ${what} that has no room pauses the job, leaves nothing of itself, and no step is lost`,
    ignore: Deno.build.os !== "linux",
    sanitizeOps: false,
    sanitizeResources: false,
    fn: () =>
      withLimit(async (limit, bench) => {
        const { queue, storage } = bench;
        limit(kib);
        const { id } = queue.create(bench.job({ steps: 16, saveEvery: 8 }));
        const { reason } = await bench.until(id, "paused");
        assertMatch(reason!, /File too large.*then resume the job$/);
        const folder = storage.jobFolder(id);
        assert(!names(folder).some((name) => name.includes("checkpoint")), names(folder).join());
        limit();
        queue.resume(id);
        await bench.until(id, "succeeded");
        assertEquals(steps(bench, id), Array.from({ length: 16 }, (_, i) => i + 1));
        const lines = (await Deno.readTextFile(join(folder, "metrics.jsonl"))).trim().split("\n");
        assertEquals(lines.map((line) => JSON.parse(line).step), steps(bench, id));
      }),
  });
}
