import { assertEquals } from "@std/assert";
import { DownloadProgress } from "../../src/cli/download_progress.ts";
import type { DownloadEvent } from "../../src/hub/hub.ts";

const SPEC = "hf:org/name";

const progress = (received: number, bytes: number): DownloadEvent => ({
  type: "download_progress",
  spec: SPEC,
  file: "model.safetensors",
  fileReceived: received,
  fileBytes: bytes,
  received,
  bytes,
});

Deno.test("downloads without a terminal: a line at their start, every 10 s and at the end", () => {
  const lines: string[] = [];
  let clock = 0;
  const output = { interactive: false, log: (line: string) => lines.push(line) };
  const shown = new DownloadProgress(output, () => clock);
  const bytes = 1 << 30;
  shown.handle({ type: "download_start", spec: SPEC, files: 2, bytes });
  for (clock = 1000; clock <= 21_000; clock += 1000) shown.handle(progress(clock * 50_000, bytes));
  shown.handle({ type: "download_done", spec: SPEC, files: 2, bytes });
  shown.handle({ type: "notice", spec: SPEC, message: "offline" });
  shown.handle({ type: "notice", spec: SPEC, message: "offline" });
  shown.stop();
  assertEquals(lines, [
    "hf:org/name: downloading 2 files, 1.00 GiB",
    "hf:org/name: 477 MiB of 1.00 GiB (46%)",
    "hf:org/name: 954 MiB of 1.00 GiB (93%)",
    "hf:org/name: downloaded 1.00 GiB",
    "warning: offline",
  ]);
});
