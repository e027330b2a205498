/**
 * The server under load while it trains, on this machine: event streams held, reads at a steady
 * rate, and what both cost the training. Prints one JSON object.
 *
 *     deno run -A bench/server_load.ts [--streams 100] [--rate 100] [--seconds 60] [--idle]
 *
 * With `--idle` no job runs, and the reads come at 1,000 a second unless `--rate` says otherwise.
 */
import { parseArgs } from "node:util";
import { toFile } from "openai";
import { type TestServer, withServer } from "../tests/server/support.ts";

const { values } = parseArgs({
  args: Deno.args,
  options: {
    streams: { type: "string", default: "100" },
    rate: { type: "string" },
    seconds: { type: "string", default: "60" },
    idle: { type: "boolean", default: false },
  },
});
const { idle } = values;
const streams = Number(values.streams), seconds = Number(values.seconds);
const rate = Number(values.rate ?? (idle ? 1000 : 100));
const TEXT = new URL("../examples/data/tinyshakespeare.txt", import.meta.url);

/** Some steps a second on the software adapter. */
async function createJob({ client }: TestServer): Promise<string> {
  const file = await client.files.create({
    file: await toFile(await Deno.readFile(TEXT), "text.txt"),
    purpose: "pretrain" as "fine-tune",
  });
  const hyperparameters = { steps: 100_000, batch_size: 8, seq_len: 128, eval_share: 0.01 };
  const body = { model: "llama_nano", training_file: file.id, hyperparameters };
  return (await client.post("/pretraining/jobs", { body }) as { id: string }).id;
}

async function json(url: string) {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url}: ${response.status} ${await response.text()}`);
  return await response.json();
}

/** A stream that is read until it is ended; the numbers of its events. */
class HeldStream {
  readonly seen: number[] = [];
  readonly ended: Promise<void>;
  #reader: ReadableStreamDefaultReader<string> | undefined;

  constructor(url: string) {
    this.ended = this.#read(url);
  }

  /** By its reader: a fetch that has lasted does not hear of an abort any more (Deno 2.9). */
  async end(): Promise<void> {
    await this.#reader!.cancel();
    await this.ended;
  }

  async #read(url: string): Promise<void> {
    const { body } = await fetch(url);
    this.#reader = body!.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { value, done } = await this.#reader.read();
      if (done) return;
      const lines = (rest + value).split("\n");
      rest = lines.pop()!;
      for (const line of lines) if (line.startsWith("id:")) this.seen.push(Number(line.slice(3)));
    }
  }
}

/** Reads at a steady rate, each of another kind; milliseconds of each. */
async function read(urls: readonly string[]): Promise<{ ms: number[]; failed: number }> {
  const ms: number[] = [], open = new Set<Promise<void>>();
  let failed = 0;
  const start = performance.now();
  for (let n = 0; n < rate * seconds; n++) {
    const due = start + 1000 * n / rate, wait = due - performance.now();
    if (wait > 1) await new Promise((resolve) => setTimeout(resolve, wait));
    const asked = fetch(urls[n % urls.length]).then(async (response) => {
      await response.arrayBuffer();
      if (!response.ok) failed++;
    }).catch(() => void failed++).finally(() => {
      // From when it was due: a generator that falls behind does not make the server look better.
      ms.push(performance.now() - due);
      open.delete(asked);
    });
    open.add(asked);
  }
  await Promise.all(open);
  return { ms: ms.sort((a, b) => a - b), failed };
}

const share = (sorted: readonly number[], q: number) =>
  Math.round(10 * sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))]) / 10;

/** Tokens a second of the job over some seconds from now. */
async function throughput(url: string, job: string, during: Promise<unknown>): Promise<number> {
  const progress = async () => {
    const { data } = await json(`${url}/v1/pretraining/jobs/${job}/events?limit=5`);
    const found = data.find(({ type }: { type: string }) => type === "metrics");
    return { tokens: Number(found?.data.tokens ?? 0), at: performance.now() };
  };
  const before = await progress();
  await during;
  const after = await progress();
  return 1000 * (after.tokens - before.tokens) / (after.at - before.at);
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

await withServer({ args: ["--max-streams", String(streams + 10)] }, async (server) => {
  const { url } = server, base = `${url}/v1/pretraining/jobs`;
  const job = await createJob(server);
  const steps = async () => (await json(`${base}/${job}`)).progress?.step ?? 0;
  while (await steps() < 20) await pause(200);
  if (idle) {
    await server.client.post(`/pretraining/jobs/${job}/pause`);
    while ((await json(`${base}/${job}`)).status !== "paused") await pause(100);
  }
  const quiet = idle ? [] : [await throughput(url, job, pause(500 * seconds))];

  const held = Array.from(
    { length: streams },
    () => new HeldStream(`${base}/${job}/events?stream=true`),
  );
  while (held.some(({ seen }) => seen.length === 0)) await pause(50);
  const urls = [
    `${base}/${job}`,
    `${base}?limit=20`,
    `${base}/${job}/events?limit=20`,
    `${base}/${job}/metrics?max_points=200`,
    `${url}/v1/models`,
    `${url}/metrics`,
  ];
  const reading = read(urls);
  const loaded = idle ? undefined : await throughput(url, job, reading);
  const { ms, failed } = await reading;
  await pause(2000);
  await Promise.all(held.map((stream) => stream.end()));
  if (!idle) quiet.push(await throughput(url, job, pause(500 * seconds)));

  const longest = held.reduce((a, b) => (b.seen.length > a.seen.length ? b : a)).seen;
  // Their ends are not of one moment: each must be a beginning of the longest.
  const whole = held.filter(({ seen }) => seen.every((id, i) => id === longest[i]));
  const alone = quiet.reduce((sum, value) => sum + value, 0) / Math.max(1, quiet.length);
  console.log(JSON.stringify({
    streams,
    requests: ms.length,
    requests_per_second: rate,
    failed,
    p50_ms: share(ms, 0.5),
    p99_ms: share(ms, 0.99),
    max_ms: share(ms, 1),
    events_of_a_stream: longest.length,
    least_events_of_a_stream: Math.min(...held.map(({ seen }) => seen.length)),
    streams_in_order_and_whole: whole.length,
    ...(loaded === undefined ? {} : {
      tokens_per_second_alone: quiet.map(Math.round),
      tokens_per_second_loaded: Math.round(loaded),
      throughput_loss: Math.round(1000 * (1 - loaded / alone)) / 1000,
    }),
  }));
});
