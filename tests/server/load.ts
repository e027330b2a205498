/**
 * The server under load while it trains, on this machine: open event streams, reads at a steady
 * rate, and their cost to training. Prints one JSON object, and exits with 1 if a request failed, a
 * stream lost an event, or a figure is beyond its limit. Nothing else should run meanwhile.
 *
 * A machine's speed drifts by more than that cost within a minute. So training is timed in pairs of
 * windows, of `--seconds` / 6 each: one in which all streams are open and the reads are made, and
 * one, right before or after it, without either. A window begins and ends with the report of a step.
 * The cost is the median over the pairs. Streams are closed after a loaded window, and before the
 * next are opened again after the last event that they received, as a client reconnects; a window
 * begins once all of them are answered.
 *
 *     deno run -A --lock=tests/deno.lock tests/server/load.ts
 *       [--streams 100] [--rate 100] [--seconds 60] [--idle] [--checkout DIR]
 *
 * With `--idle` no job runs, the only window is a loaded one, and the reads come at 1,000 a second
 * unless `--rate` says otherwise.
 */
import { parseArgs } from "node:util";
import { toFile } from "openai";
import { type TestServer, withServer } from "./support.ts";

const { values } = parseArgs({
  args: Deno.args,
  options: {
    streams: { type: "string", default: "100" },
    rate: { type: "string" },
    seconds: { type: "string", default: "60" },
    idle: { type: "boolean", default: false },
    checkout: { type: "string" },
  },
});
const { idle, checkout } = values;
const streams = Number(values.streams), seconds = Number(values.seconds);
const rate = Number(values.rate ?? (idle ? 1000 : 100));
const TEXT = new URL("../../examples/data/tinyshakespeare.txt", import.meta.url);

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

/**
 * A connection with minimal client work: clients would normally run on other machines, but here
 * take time from training.
 */
class Connection {
  readonly #buffer = new Uint8Array(1 << 16);
  readonly #decoder = new TextDecoder("latin1");

  private constructor(readonly connection: Deno.TcpConn, readonly host: string) {}

  static async open(url: string): Promise<Connection> {
    const { hostname, port, host } = new URL(url);
    return new Connection(await Deno.connect({ hostname, port: Number(port) }), host);
  }

  async send(path: string): Promise<void> {
    const request = `GET ${path} HTTP/1.1\r\nhost: ${this.host}\r\n\r\n`;
    await this.connection.write(new TextEncoder().encode(request));
  }

  /** The next piece of an answer; empty at its end. */
  async read(): Promise<string> {
    const count = await this.connection.read(this.#buffer).catch(() => null);
    return this.#decoder.decode(this.#buffer.subarray(0, count ?? 0));
  }

  /** Reads an answer that tells its length; its status. */
  async get(path: string): Promise<number> {
    await this.send(path);
    let text = await this.read();
    const body = () => text.indexOf("\r\n\r\n") + 4;
    while (body() === 3) text += await this.read();
    const length = Number(/\r\ncontent-length: (\d+)/i.exec(text)![1]);
    for (let left = length - (text.length - body()); left > 0;) left -= (await this.read()).length;
    return Number(text.slice(9, 12));
  }
}

/** A reader of a job's events, who reconnects for the rest after being closed. */
class EventReader {
  /** The numbers of the events received whole. */
  readonly seen: number[] = [];
  #connection: Connection | undefined;
  #text = "";

  constructor(readonly url: string) {}

  /** Resolves when the stream is answered. */
  async open(): Promise<void> {
    const connection = this.#connection = await Connection.open(this.url);
    const after = this.seen.length ? `&after=${this.seen.at(-1)}` : "";
    await connection.send(this.url.slice(new URL(this.url).origin.length) + after);
    this.#text = await connection.read();
    if (!this.#text.startsWith("HTTP/1.1 200")) throw new Error(`${this.url}: ${this.#text}`);
    this.#read(connection);
  }

  close(): void {
    this.#connection?.connection.close();
    for (const [, id] of this.#text.matchAll(/^id: (\d+)\ndata: .*\n\n/gm)) {
      this.seen.push(Number(id));
    }
  }

  async #read(connection: Connection): Promise<void> {
    for (let piece = "."; piece; this.#text += piece) piece = await connection.read();
  }
}

/** Connections shared by the reads, like a client's pool. */
const CONNECTIONS = 20;

/** Reads at a steady rate, cycling through URLs; latency in milliseconds from the due time. */
async function read(
  urls: readonly string[],
  seconds: number,
): Promise<{ ms: number[]; failed: number }> {
  const pool = await Promise.all(
    Array.from({ length: CONNECTIONS }, () => Connection.open(urls[0])),
  );
  const paths = urls.map((url) => url.slice(new URL(url).origin.length));
  const ms: number[] = [], start = performance.now();
  let failed = 0;
  await Promise.all(pool.map(async (connection, first) => {
    for (let n = first; n < rate * seconds; n += CONNECTIONS) {
      const due = start + 1000 * n / rate, wait = due - performance.now();
      if (wait > 1) await pause(wait);
      if (await connection.get(paths[n % paths.length]) !== 200) failed++;
      // Includes the wait for a connection, to avoid coordinated omission.
      ms.push(performance.now() - due);
    }
    connection.connection.close();
  }));
  return { ms, failed };
}

/** Windows of either kind. */
const PAIRS = 6;
/** Of the latency of reads. */
const MOST_P99_MS = 50;
/** Share of training's throughput. */
const MOST_LOSS = 0.15;

const share = (sorted: readonly number[], q: number) =>
  Math.round(10 * sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))]) / 10;

const thousandths = (value: number) => Math.round(1000 * value) / 1000;

const median = (values: readonly number[]) => {
  const sorted = values.toSorted((a, b) => a - b), half = (sorted.length - 1) / 2;
  return (sorted[Math.floor(half)] + sorted[Math.ceil(half)]) / 2;
};

/** Milliseconds between questions for the next report of steps, which come several together. */
const POLL_MS = 20;

/** The next report of the job's steps: tokens trained on so far. */
async function nextReport(job: string): Promise<{ readonly tokens: number; readonly at: number }> {
  const tokens = async () => {
    const { data } = await json(`${job}/events?limit=5`);
    const found = data.find(({ type }: { type: string }) => type === "metrics");
    return Number(found?.data.tokens ?? 0);
  };
  const before = await tokens();
  for (;;) {
    await pause(POLL_MS);
    const now = await tokens();
    if (now > before) return { tokens: now, at: performance.now() };
  }
}

/** Resolves when the server has noticed that the clients of its streams have left. */
async function streamsEnd(url: string): Promise<void> {
  const since = performance.now();
  for (;;) {
    const text = await (await fetch(`${url}/metrics`)).text();
    const open = Number(/^\w+_event_streams (\d+)$/m.exec(text)![1]);
    if (open === 0) return;
    if (performance.now() - since > 10_000) throw new Error(`${open} closed streams are open`);
    await pause(POLL_MS);
  }
}

/** Tokens a second of the job over a window. */
async function throughput(job: string, window: () => Promise<unknown>): Promise<number> {
  const before = await nextReport(job);
  await window();
  const after = await nextReport(job);
  return 1000 * (after.tokens - before.tokens) / (after.at - before.at);
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

const faults: string[] = [];
const args = ["--max-streams", String(streams + 10)];

await withServer({ args, checkout }, async (server) => {
  const { url } = server, base = `${url}/v1/pretraining/jobs`;
  const job = await createJob(server);
  const steps = async () => (await json(`${base}/${job}`)).progress?.step ?? 0;
  while (await steps() < 20) await pause(200);
  if (idle) {
    await server.client.post(`/pretraining/jobs/${job}/pause`);
    while ((await json(`${base}/${job}`)).status !== "paused") await pause(100);
  }
  // Typical load of a team: clients that poll a job, opened pages, occasional scrapes.
  const [one, events] = [`${base}/${job}`, `${base}/${job}/events?limit=20`];
  const [all, models] = [`${base}?limit=20`, `${url}/v1/models`];
  const urls = [
    ...[one, events, all, models, one, `${base}/${job}/metrics?max_points=200`],
    ...[one, events, all, models, one, `${url}/metrics`],
  ];
  // Warm up, so that the code is compiled.
  await read(urls, 10);

  const readers = Array.from(
    { length: streams },
    () => new EventReader(`${base}/${job}/events?stream=true`),
  );
  const windows = idle ? 1 : PAIRS, window = seconds / windows;
  const ms: number[] = [], alone: number[] = [], loaded: number[] = [];
  let failed = 0;
  const makeReads = async () => {
    const made = await read(urls, window);
    ms.push(...made.ms);
    failed += made.failed;
  };
  const timeLoaded = async () => {
    await Promise.all(readers.map((reader) => reader.open()));
    if (idle) await makeReads();
    else loaded.push(await throughput(`${base}/${job}`, makeReads));
    for (const reader of readers) reader.close();
    await streamsEnd(url);
  };
  const timeAlone = async () => {
    if (!idle) alone.push(await throughput(`${base}/${job}`, () => pause(1000 * window)));
  };
  for (let pair = 0; pair < windows; pair++) {
    // Either first in turn: a drift favours neither.
    const order = pair % 2 ? [timeLoaded, timeAlone] : [timeAlone, timeLoaded];
    for (const time of order) await time();
  }

  ms.sort((a, b) => a - b);
  const seen = readers.map((reader) => reader.seen);
  const longest = seen.reduce((a, b) => (b.length > a.length ? b : a));
  // They were closed at different moments: each must be a prefix of the longest.
  const whole = seen.filter((ids) => ids.every((id, i) => id === longest[i]));
  const losses = loaded.map((value, pair) => 1 - value / alone[pair]);
  const p99 = share(ms, 0.99), loss = idle ? 0 : median(losses);
  if (failed) faults.push(`${failed} requests failed`);
  if (whole.length < readers.length) {
    faults.push(`${readers.length - whole.length} streams are not whole`);
  }
  if (p99 >= MOST_P99_MS) faults.push(`the 99th percentile is ${p99} ms, not below ${MOST_P99_MS}`);
  if (loss >= MOST_LOSS) faults.push(`training loses ${loss.toFixed(3)}, not below ${MOST_LOSS}`);
  console.log(JSON.stringify({
    streams,
    requests: ms.length,
    requests_per_second: rate,
    failed,
    p50_ms: share(ms, 0.5),
    p99_ms: p99,
    max_ms: share(ms, 1),
    events_of_a_stream: longest.length,
    least_events_of_a_stream: Math.min(...seen.map(({ length }) => length)),
    streams_in_order_and_whole: whole.length,
    ...(idle ? {} : {
      tokens_per_second_alone: alone.map(Math.round),
      tokens_per_second_loaded: loaded.map(Math.round),
      throughput_losses: losses.map(thousandths),
      throughput_loss: thousandths(loss),
    }),
  }));
});

for (const fault of faults) console.error(fault);
Deno.exit(faults.length ? 1 : 0);
