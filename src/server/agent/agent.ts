/** A worker: takes jobs of a server's queue and runs them on this machine. */
import { join } from "../../packages/std_path.ts";
import { FolderLock } from "../../files/folder_lock.ts";
import { option, phrase } from "../../options/phrase.ts";
import { UserError } from "../../options/user_error.ts";
import { VERSION } from "../../product.ts";
import { type StartTraining, startTraining } from "../jobs/training_process.ts";
import { type Offer, Offers } from "../pool/offers.ts";
import type { Claimed } from "../pool/protocol.ts";
import { assertPermissible } from "../processes/deno_process.ts";
import { probeDevice } from "../processes/probe.ts";
import type { ServerLog } from "../server_log.ts";
import { Inputs } from "./inputs.ts";
import { Job } from "./job.ts";
import type { WorkerOptions } from "./options.ts";
import { delay, Refusal, ServerClient } from "./server_client.ts";

export interface AgentHooks {
  /** Saves and gives back what runs, then ends. */
  readonly signal: AbortSignal;
  readonly log: ServerLog;
  /** Called once, when it takes jobs. */
  onReady?(workers: readonly string[]): void;
  /** For tests: what stands in for the training process. */
  readonly startTraining?: StartTraining;
  /** For tests: the GPU's name, which is not looked for then. */
  readonly card?: string;
}

/** Milliseconds between two looks into an empty queue, and between two signs of life without a job. */
const LOOK_MS = 1000, HELLO_MS = 15_000;

/**
 * Runs jobs until the signal aborts; resolves when the last is saved and given back. Throws a
 * {@link UserError} if it cannot begin: a folder, a key, a GPU, a server of another version.
 */
export async function runAgent(options: WorkerOptions, hooks: AgentHooks): Promise<void> {
  const { signal, log } = hooks, { folder, queue } = options;
  assertPermissible([folder]);
  const key = options.keyFile === undefined ? undefined : await readKey(options.keyFile);
  const client = new ServerClient({ server: options.server, key, log });
  for (const each of ["inputs", "jobs"]) await Deno.mkdir(join(folder, each), { recursive: true });
  using _lock = await FolderLock.take(folder);
  // What a worker that was killed has left.
  await Deno.remove(join(folder, "jobs"), { recursive: true });
  const card = hooks.card ?? (await probeDevice()).name;
  const name = options.name ?? Deno.hostname();
  const workers = Array.from(
    { length: options.workers },
    (_, index) => ({ version: VERSION, worker: `${name}-${index + 1}`, card }),
  );
  const inputs = new Inputs(client, join(folder, "inputs"));
  await inputs.tidy();
  for (const worker of workers) await hello(client, worker, signal);
  const lease = 30; // of an offer that is taken, until the server's answer
  const onFault = (message: string) => log.error(`queue: ${message}`);
  const offers = await Offers.open({ url: queue, lease, onFault });
  try {
    hooks.onReady?.(workers.map(({ worker }) => worker));
    const parts = {
      client,
      inputs,
      log,
      startTraining: hooks.startTraining ?? startTraining,
      folder: join(folder, "jobs"),
      gpuMemory: options.gpuMemory,
      stop: signal,
    };
    await Promise.all(workers.map((worker) => work(worker, offers, parts)));
  } finally {
    await offers.close();
  }
}

type Worker = { readonly version: string; readonly worker: string; readonly card: string };
type Parts = Omit<ConstructorParameters<typeof Job>[1], "onAlive">;

async function work(worker: Worker, offers: Offers, parts: Parts): Promise<void> {
  const { stop, log, client } = parts;
  for (let greeted = performance.now(); !stop.aborted;) {
    const offer = await offers.take().catch((error) => void log.error(`queue: ${error.message}`));
    if (offer) {
      await take(offer, worker, offers, parts);
      continue;
    }
    await delay(LOOK_MS, stop);
    if (stop.aborted || performance.now() - greeted < HELLO_MS) continue;
    greeted = performance.now();
    await client.json("POST", "/hello", { body: worker, signal: stop })
      .catch((error) => stop.aborted || log.error(error.message));
  }
}

async function take(offer: Offer, worker: Worker, offers: Offers, parts: Parts): Promise<void> {
  const { client, log, stop } = parts;
  let claimed: Claimed;
  try {
    claimed = await client.json("POST", "/claims", {
      body: { ...worker, job: offer.job, offer: offer.id },
      signal: stop,
      // The server may have to read all of a model once.
      timeout: 600_000,
    });
  } catch (error) {
    if (!(error instanceof Refusal) && !stop.aborted) throw error;
    // Someone else has it, or it no longer waits; if it does, the server offers it again.
    await offers.remove(offer).catch(() => {});
    return;
  }
  log.info("a job begins", { job_id: offer.job, worker: worker.worker });
  const onAlive = () => void offers.touch(offer).catch(() => {}); // the server decides, not the offer
  await new Job(claimed, { ...parts, onAlive }).run();
  log.info("a job has ended here", { job_id: offer.job, worker: worker.worker });
}

/** Finds out whether the server takes this worker, before anything else. */
async function hello(client: ServerClient, worker: Worker, signal: AbortSignal): Promise<void> {
  try {
    await client.json("POST", "/hello", { body: worker, signal });
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    const { server } = client.options;
    throw new UserError(phrase`${option("server", server)}: ${error.message}`);
  }
}

async function readKey(path: string): Promise<string> {
  const key = (await Deno.readTextFile(path)).trim();
  if (/^\S+$/.test(key)) return key;
  throw new UserError(phrase`${option("keyFile", path)}: must hold an API key and nothing else`);
}
