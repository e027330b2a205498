/**
 * What these scripts share: a real server from any checkout, its API by plain requests, jobs that
 * train in seconds, and the tally of promises kept.
 */
import { fromFileUrl, join, resolve } from "@std/path";
import { type ChatFolder, writeChatModel } from "../../inference/support.ts";

export { startServer, type TestServer } from "../../server/support.ts";

/** This checkout, whose server is tried unless a script is given another. */
export const CHECKOUT = fromFileUrl(import.meta.resolve("../../../"));

export const pause = (ms: number) => new Promise<void>((done) => setTimeout(done, ms));

/** A new, empty folder. */
export async function emptyFolder(path: string): Promise<string> {
  await Deno.remove(path, { recursive: true }).catch(() => {});
  await Deno.mkdir(path, { recursive: true });
  return resolve(path);
}

/** A models folder with `tiny`, a chat model of some 20,000 weights, changed as wanted. */
export async function tinyModels(path: string, config: ChatFolder["config"] = {}): Promise<string> {
  await emptyFolder(path);
  await writeChatModel(join(path, "tiny"), { config });
  return resolve(path);
}

/** Polls until there is a value; undefined once `ms` have passed without one. */
export async function until<T>(
  ms: number,
  look: () => Promise<T | undefined> | T | undefined,
): Promise<T | undefined> {
  for (const end = performance.now() + ms;;) {
    const found = await look();
    if (found !== undefined || performance.now() > end) return found;
    await pause(50);
  }
}

// deno-lint-ignore no-explicit-any
type Json = any;

export class ApiFailure extends Error {
  constructor(readonly what: string, readonly status: number, body: string) {
    super(`${what}: ${status} ${body.slice(0, 300)}`);
  }
}

/** Milliseconds within which any request is answered, on a busy machine. */
const PATIENCE = 20_000;

/** The API by plain requests; throws what is not answered with a 2xx. */
export class Api {
  constructor(readonly url: string, readonly key = "none") {}

  async send(method: string, path: string, body?: BodyInit, type?: string): Promise<Json> {
    const response = await fetch(`${this.url}/v1${path}`, {
      method,
      body,
      headers: {
        authorization: `Bearer ${this.key}`,
        ...(type ? { "content-type": type } : undefined),
      },
      signal: AbortSignal.timeout(PATIENCE),
    });
    const text = await response.text();
    if (!response.ok) throw new ApiFailure(`${method} ${path}`, response.status, text);
    return JSON.parse(text);
  }

  get(path: string): Promise<Json> {
    return this.send("GET", path);
  }

  post(path: string, body?: unknown): Promise<Json> {
    if (body === undefined) return this.send("POST", path);
    return this.send("POST", path, JSON.stringify(body), "application/json");
  }

  delete(path: string): Promise<Json> {
    return this.send("DELETE", path);
  }

  async upload(filename: string, content: string, purpose: string): Promise<string> {
    const form = new FormData();
    form.set("purpose", purpose);
    form.set("file", new File([content], filename));
    return (await this.send("POST", "/files", form)).id;
  }
}

export type Kind = "pretraining" | "fine_tuning";
export const KINDS: readonly Kind[] = ["pretraining", "fine_tuning"];

/** A job where clients find it. */
export interface JobRef {
  readonly kind: Kind;
  readonly id: string;
}

export const jobPath = ({ kind, id }: JobRef) => `/${kind}/jobs/${id}`;

export interface TrainingFiles {
  readonly pretraining: string;
  readonly fine_tuning: string;
}

const QUESTION = { role: "user", content: "Which planet is red?" };
const ANSWER = { role: "assistant", content: "Mars is." };

export async function uploadData(api: Api): Promise<TrainingFiles> {
  const text = await Deno.readTextFile(join(CHECKOUT, "examples/data/tinyshakespeare.txt"));
  const dialogue = JSON.stringify({ messages: [QUESTION, ANSWER] }) + "\n";
  return {
    pretraining: await api.upload("text.txt", text.slice(0, 60_000), "pretrain"),
    fine_tuning: await api.upload("planets.jsonl", dialogue.repeat(40), "fine-tune"),
  };
}

/** Runs `key` of a checkout's command line; returns the object that it prints with `--json`. */
export async function runKey(
  { checkout, folder }: { readonly checkout: string; readonly folder: string },
  ...args: readonly string[]
): Promise<{ readonly id: string; readonly secret: string }> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "cli.ts", "key", ...args, "--json", "--data-folder", folder],
    cwd: checkout,
  }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
  return JSON.parse(new TextDecoder().decode(stdout).trim().split("\n").at(-1)!);
}

/** So small that a step takes milliseconds and a checkpoint some 100 KB. */
const CONFIG = {
  model_type: "llama",
  vocab_size: 257,
  hidden_size: 32,
  intermediate_size: 64,
  num_hidden_layers: 2,
  num_attention_heads: 2,
  max_position_embeddings: 64,
};

const HYPERPARAMETERS = {
  batch_size: 2,
  seq_len: 64,
  optimizer: "adamw",
  eval_share: 0.1,
  eval_every: 0,
  save_every: 20,
};

/** Creates a job with these hyperparameters: a pre-training from random weights, or of `tiny`. */
export async function createJob(
  api: Api,
  kind: Kind,
  files: TrainingFiles,
  change: Readonly<Record<string, unknown>>,
): Promise<JobRef> {
  const hyperparameters = { ...HYPERPARAMETERS, ...change };
  const { id } = await api.post(`/${kind}/jobs`, {
    model: kind === "pretraining" ? CONFIG : "tiny",
    training_file: files[kind],
    ...(kind === "pretraining"
      ? { hyperparameters }
      : { method: { type: "supervised", supervised: { hyperparameters } } }),
  });
  return { kind, id };
}

/** Processes of this program that a server has started for training: children, by Linux's /proc. */
export function trainingProcesses(server: number): number[] {
  const found: number[] = [];
  for (const { name } of Deno.readDirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const stat = Deno.readTextFileSync(`/proc/${name}/stat`);
      // The name of the program, in parentheses, may hold anything: read from behind it.
      const [state, parent] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      if (Number(parent) !== server || state === "Z") continue;
      const command = Deno.readTextFileSync(`/proc/${name}/cmdline`);
      if (command.includes("worker/train.ts")) found.push(Number(name));
    } catch {
      // It has ended meanwhile.
    }
  }
  return found;
}

/** Tries by kind, and the promises that they broke. */
export class Tally {
  readonly #kinds = new Map<string, { tries: number; broken: number }>();
  readonly #faults = new Map<string, number>();
  #index = 0;

  /** Prints a line; no faults mean that every promise was kept. */
  add(kind: string, faults: readonly string[], note = ""): void {
    const of = this.#kinds.get(kind) ?? { tries: 0, broken: 0 };
    this.#kinds.set(kind, of);
    of.tries++;
    if (faults.length) of.broken++;
    console.log(`${++this.#index} ${kind}: ${faults.length ? "BROKEN" : "held"} ${note}`.trimEnd());
    for (const fault of new Set(faults.map((text) => text.split("\n")[0].replace(ID, "…")))) {
      this.#faults.set(fault, (this.#faults.get(fault) ?? 0) + 1);
      console.log(`    ${fault}`);
    }
  }

  /** Prints the table; returns whether all tries held. */
  print(): boolean {
    const rows = [...this.#kinds];
    const tries = rows.reduce((sum, [, of]) => sum + of.tries, 0);
    const broken = rows.reduce((sum, [, of]) => sum + of.broken, 0);
    const width = Math.max(...rows.map(([kind]) => kind.length), 3);
    const line = (kind: string, { tries, broken }: { tries: number; broken: number }) =>
      console.log(
        `${kind.padEnd(width)}${String(tries).padStart(7)}${String(tries - broken).padStart(7)}` +
          String(broken).padStart(8),
      );
    console.log(`\n${"kind".padEnd(width)}  tries   held  broken`);
    for (const [kind, of] of rows) line(kind, of);
    line("all", { tries, broken });
    const counted = [...this.#faults].sort(([, a], [, b]) => b - a);
    if (counted.length) console.log("\nbroken promises, in tries:");
    for (const [fault, count] of counted) console.log(`${String(count).padStart(5)}  ${fault}`);
    return broken === 0;
  }
}

/** Ids and numbers, which differ from try to try. */
const ID =
  /(?<=\b(file-|ftjob-|ptjob-|key-|ftckpt-|req_))[A-Za-z0-9]{20,24}|(?<=: )\d+(?= points)/g;
