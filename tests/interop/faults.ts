/**
 * One run, ended in every way that a run can be, over and over, and resumed each time: what it had
 * trained until a minute before is on disk and whole, and the resume says where it goes on. By hand,
 * on Linux, as root for the full disk, which is a tmpfs (without root that fault is left out):
 *
 *     deno run -A tests/interop/faults.ts <folder to work in> [tries, 40] [seed]
 *
 * Fails at the first try of which more is lost; prints a line for each.
 */
import { assert } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { readCheckpoint } from "../../src/formats/checkpoint/reader.ts";
import { randomStream } from "../../src/data/random.ts";
import { writeHfConfig } from "../../src/formats/hf_config.ts";
import { TINY } from "../train/support.ts";

const [work, tries = "40", seed = "1"] = Deno.args;
const random = randomStream(Number(seed), 0, 0);
const root = fromFileUrl(import.meta.resolve("../../"));
const disk = join(work, "disk"), output = join(disk, "run"), data = join(work, "data.jsonl");
/** What a try may lose. */
const MOST_SECONDS = 60;

/** How a run ends: by a signal, or by what becomes of its files; `mend` undoes it. */
interface Fault {
  readonly name: string;
  readonly exit: number;
  begin(process: Deno.ChildProcess): Promise<void> | void;
  mend?(): Promise<void>;
}

const bySignal = (signal: Deno.Signal, exit: number): Fault => ({
  name: signal,
  exit,
  begin: (process) => process.kill(signal),
});

const text = await Deno.readTextFile(join(root, "examples/data/tinyshakespeare.txt"));
const lines = text.match(/[^]{1,2000}/g)!.map((text) => JSON.stringify({ text }) + "\n");
const restore = () => Deno.writeTextFile(data, lines.join(""));

/** Replaces what follows a random line, in place; a run has read what comes before. */
const inData = (name: string, change: (rest: Uint8Array) => Uint8Array): Fault => ({
  name,
  exit: 1,
  async begin() {
    const kept = lines.slice(0, Math.floor(random() * lines.length / 2)).join("");
    const rest = new TextEncoder().encode(lines.join("").slice(kept.length));
    const bytes = change(rest);
    using file = await Deno.open(data, { write: true });
    await file.seek(kept.length, Deno.SeekMode.Start);
    for (let done = 0; done < bytes.length;) done += await file.write(bytes.subarray(done));
    await file.truncate(kept.length + bytes.length);
  },
  mend: restore,
});

const filler = join(disk, "filler");
const fullDisk: Fault = {
  name: "full disk",
  exit: 1,
  async begin() {
    using file = await Deno.create(filler);
    const block = new Uint8Array(1 << 16);
    try {
      while (true) await file.write(block);
    } catch {
      // It is full.
    }
  },
  mend: () => Deno.remove(filler),
};

const faults: Fault[] = [
  bySignal("SIGKILL", 137),
  bySignal("SIGHUP", 130),
  bySignal("SIGTERM", 130),
  bySignal("SIGINT", 130),
  inData("Latin-1", (rest) => rest.map((byte) => byte === 0x65 ? 0xe9 : byte)),
  inData("null records", (rest) => new TextEncoder().encode("null\n".repeat(rest.length / 5))),
  inData("cut file", () => new Uint8Array(0)),
  {
    name: "removed file",
    exit: 1,
    begin: () => Deno.remove(data),
    mend: restore,
  },
];

const quietly = async (program: string, ...args: string[]) =>
  (await new Deno.Command(program, { args }).output().catch(() => undefined))?.success ?? false;

await Deno.mkdir(disk, { recursive: true });
await restore();
// So small that a run reads on within seconds.
const size = { hiddenSize: 32, intermediateSize: 64, layers: 1, heads: 2, keyValueHeads: 2 };
await writeHfConfig(work, { ...TINY, ...size, headSize: 16, maxPositions: 256 }, "float32");
const mounted = await quietly("mount", "-t", "tmpfs", "-o", "size=200m", "tmpfs", disk);
if (mounted) faults.push(fullDisk);
else console.log("no permission to mount a tmpfs: no full disk");

/** Starts or resumes the run; its events and messages are collected. */
function start() {
  const flags = Object.entries({
    model: join(work, "config.json"),
    data,
    output,
    steps: 1_000_000,
    scheduler: "constant",
    optimizer: "adamw8bit",
    batchSize: 8,
    seqLen: 256,
    warmupSteps: 0,
    evalEvery: 0,
    evalShare: 0,
    saveEvery: 0,
    saveMinutes: 0.1,
    // In the order of the file, which is read as it is needed.
    shuffleBuffer: 0,
    resume: "auto",
  }).flatMap((
    [name, value],
  ) => [`--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`, `${value}`]);
  const process = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", join(root, "cli.ts"), "pretrain", "--json", ...flags],
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  // deno-lint-ignore no-explicit-any
  const events: any[] = [];
  const first = Promise.withResolvers<number>();
  const reading = (async () => {
    let rest = "";
    for await (const piece of process.stdout.pipeThrough(new TextDecoderStream())) {
      const parts = (rest + piece).split("\n");
      rest = parts.pop()!;
      for (const part of parts) {
        const event = JSON.parse(part);
        events.push(event);
        if (event.type === "step") first.resolve(performance.now());
      }
    }
    first.reject(new Error("the run ended before its first step"));
  })();
  first.promise.catch(() => {});
  const stderr = new Response(process.stderr).text();
  return { process, events, first: first.promise, reading, stderr };
}

/** The newest checkpoint, verified by reading all of it. */
async function newest() {
  const steps = [...Deno.readDirSync(output)]
    .flatMap(({ name }) => name.match(/^checkpoint-(\d+)$/)?.[1] ?? []).map(Number);
  if (!steps.length) return { step: 0, path: undefined, saved: undefined };
  const step = Math.max(...steps), path = join(output, `checkpoint-${step}`);
  await (await readCheckpoint(path)).verify();
  return { step, path, saved: (await Deno.stat(join(path, "manifest.json"))).mtime!.getTime() };
}

let worst = 0, before = 0;
try {
  for (let index = 1; index <= Number(tries); index++) {
    const fault = faults[(index - 1) % faults.length];
    const run = start();
    const begun = await run.first.catch(async (error) => {
      console.error(await run.stderr);
      throw error;
    });
    const plan = run.events.find(({ type }) => type === "plan");
    assert(plan.resumed_step === before, `resumed after ${plan.resumed_step}, not ${before}`);
    await new Promise((resolve) => setTimeout(resolve, 1000 + 11_000 * random()));
    await fault.begin(run.process);
    const { code, signal } = await run.process.status, ended = Date.now();
    await run.reading;
    const said = await run.stderr, { step, path, saved } = await newest();
    await fault.mend?.();
    const done = run.events.findLast(({ type }) => type === "step").step;
    // What was trained after the newest checkpoint, and not before the first step of this sitting.
    const since = Math.max(saved ?? 0, ended - (performance.now() - begun));
    const lost = step >= done ? 0 : (ended - since) / 1000;
    worst = Math.max(worst, lost);
    console.log(
      `${index} ${fault.name}: exit ${signal ?? code}, step ${done}, checkpoint ${step}, ` +
        `${lost.toFixed(1)} s lost; resumed after ${plan.resumed_step}`,
    );
    const message = said.trim().split("\n").slice(-3).join("\n");
    assert(code === fault.exit, `exit code ${code}, not ${fault.exit}\n${said}`);
    assert(lost <= MOST_SECONDS, `${lost} s are lost`);
    if (fault.exit === 1) {
      const failed = run.events.find(({ type }) => type === "failed");
      assert(failed, `no event of the failure\n${message}`);
      assert(failed.saved.checkpoint === path, `${failed.saved.checkpoint} instead of ${path}`);
      console.log(message.replace(/^/gm, "    "));
    }
    before = step;
  }
  console.log(`${tries} tries: at most ${worst.toFixed(1)} s of training lost`);
} finally {
  if (mounted) await quietly("umount", disk);
}
