/**
 * A key that is revoked, by another process, in the middle of what it had opened: each stream and
 * each answer of that key ends at once, and those of another key go on.
 *
 *     deno run -A --lock=tests/deno.lock tests/interop/server/revoked.ts <folder>
 *       [--checkout DIR] [--tries 10]
 */
import { parseArgs } from "node:util";
import { join } from "@std/path";
import { death } from "./promises.ts";
import {
  Api,
  CHECKOUT,
  createJob,
  emptyFolder,
  jobPath,
  pause,
  runKey,
  startServer,
  Tally,
  tinyModels,
  until,
  uploadData,
} from "./support.ts";

const { values, positionals: [work] } = parseArgs({
  allowPositionals: true,
  options: {
    checkout: { type: "string", default: CHECKOUT },
    tries: { type: "string", default: "10" },
  },
});
if (!work) throw new Error("revoked.ts: give a folder to work in");
const folder = await emptyFolder(join(work, "data"));

/** Milliseconds after a revocation within which everything of that key has ended. */
const AT_ONCE_MS = 1000;
/** Milliseconds after which we stop to wait for an end. */
const PATIENCE_MS = 15_000;

const key = (...args: string[]) => runKey({ checkout: values.checkout, folder }, ...args);

/** A request in progress: what came of it so far, and when it ended. */
class Opened {
  bytes = 0;
  ended: number | undefined;
  how = "";

  constructor(url: string, secret: string, body?: object) {
    this.#read(url, {
      method: body ? "POST" : "GET",
      headers: { authorization: `Bearer ${secret}`, "content-type": "application/json" },
      body: body && JSON.stringify(body),
    });
  }

  async #read(url: string, request: RequestInit): Promise<void> {
    try {
      const response = await fetch(url, request);
      this.how = `${response.status}`;
      for await (const bytes of response.body!) this.bytes += bytes.length;
    } catch (error) {
      this.how = (error as Error).message;
    }
    this.ended = performance.now();
  }
}

/** Its greedy answers take ten seconds: some 600 tokens until one that ends them. */
const WORDY = { layers: 4, maxPositions: 8192, tieWordEmbeddings: true };

const answer = (stream: boolean, max_tokens = 8000) => ({
  model: "tiny",
  messages: [{ role: "user", content: "Which planet is red?" }],
  temperature: 0,
  stream,
  max_tokens,
});

const modelsFolder = await tinyModels(join(work, "models"), WORDY);
const other = await key("--create", "other");
const server = await startServer({ checkout: values.checkout, folder, modelsFolder });
const api = new Api(server.url, other.secret), base = `${server.url}/v1`;
const files = await uploadData(api);
const job = await createJob(api, "pretraining", files, { steps: 100_000, save_every: 1000 });
const events = `${base}${jobPath(job)}/events?stream=true`;

/** What a key opens; `first` is what another has opened before. */
const OPENS: Readonly<Record<string, { first?: () => Opened; open(secret: string): Opened }>> = {
  "the events of a job": { open: (secret) => new Opened(events, secret) },
  "the metrics of all jobs": {
    open: (secret) => new Opened(`${server.url}/metrics/stream`, secret),
  },
  "a streamed answer": {
    open: (secret) => new Opened(`${base}/chat/completions`, secret, answer(true)),
  },
  "an answer in one piece": {
    open: (secret) => new Opened(`${base}/chat/completions`, secret, answer(false)),
  },
  "a waiting answer": {
    first: () => new Opened(`${base}/chat/completions`, other.secret, answer(true)),
    open: (secret) => new Opened(`${base}/chat/completions`, secret, answer(false)),
  },
};

const tally = new Tally();
try {
  const held = new Opened(events, other.secret), kinds = Object.entries(OPENS);
  // The model is loaded, and the job trains.
  await api.post("/chat/completions", answer(false, 8));
  await until(PATIENCE_MS, () => held.bytes > 2000 || undefined);
  for (let index = 0; index < Number(values.tries); index++) {
    const [name, { first, open }] = kinds[index % kinds.length];
    const { id, secret } = await key("--create", "to be revoked");
    const earlier = first?.();
    await pause(100);
    const opened = open(secret);
    await pause(1000);
    const faults: string[] = [];
    if (opened.ended) faults.push(`${name} ended before the key was revoked: ${opened.how}`);
    const later = new Opened(`${base}/chat/completions`, other.secret, answer(true, 8));
    await key("--revoke", id);
    const revoked = performance.now(), before = held.bytes;
    await until(PATIENCE_MS, () => opened.ended);
    const ms = opened.ended === undefined ? undefined : Math.max(0, opened.ended - revoked);
    if (ms === undefined) faults.push(`${name} is open after ${PATIENCE_MS / 1000} s`);
    else if (ms > AT_ONCE_MS) faults.push(`${name} went on after the key was revoked`);
    if (!await until(5000, () => held.bytes > before || undefined)) {
      faults.push("the events of another key stopped");
    }
    await until(60_000, () => later.ended && (earlier?.ended ?? later.ended));
    for (const each of [earlier, later]) {
      if (each && (each.how !== "200" || !each.ended)) {
        faults.push(`another key's answer did not end well: ${each.how}`);
      }
    }
    const note = `${ms === undefined ? "never" : `${Math.round(ms)} ms`}, ${opened.how}`;
    tally.add(name, faults, note);
  }
  if (held.ended) tally.add("another key", [`its events ended: ${held.how}`]);
} catch (error) {
  tally.add("all", [(error as Error).message]);
}
const died = await death(server);
if (died) tally.add("all", [died]);
await server.stop("SIGKILL");
Deno.exit(tally.print() ? 0 : 1);
