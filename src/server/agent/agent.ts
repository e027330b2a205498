/** A worker: takes jobs of a server's queue and runs them on this machine. */
import { join } from "../../packages/std_path.ts";
import { FolderLock } from "../../files/folder_lock.ts";
import { option, phrase } from "../../options/phrase.ts";
import { UserError } from "../../options/user_error.ts";
import { VERSION } from "../../product.ts";
import { type StartTraining, startTraining } from "../jobs/training_process.ts";
import { type Offer, Offers } from "../pool/offers.ts";
import { type Claimed, LEASE_LOST } from "../pool/protocol.ts";
import { assertPermissible } from "../processes/deno_process.ts";
import { probeDevice } from "../processes/probe.ts";
import type { ServerLog } from "../server_log.ts";
import { parseClaimed } from "./claimed.ts";
import { Inputs } from "./inputs.ts";
import { Job } from "./job.ts";
import { workerName, type WorkerOptions } from "./options.ts";
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
  /** For tests: offers without a database. */
  readonly offers?: WorkersOffers;
}

type WorkersOffers = Pick<Offers, "take" | "touch" | "remove" | "close">;

/** Milliseconds between two looks into an empty queue, and between two signs of life without a job. */
const LOOK_MS = 1000, HELLO_MS = 15_000;
/** Milliseconds before the next job after one that could not be run here: the next might not be either. */
const PAUSE_MS = 30_000;

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
  const name = options.name ?? machineName();
  const workers = Array.from(
    { length: options.workers },
    (_, index) => ({ version: VERSION, worker: `${name}-${index + 1}`, card }),
  );
  const inputs = new Inputs(client, join(folder, "inputs"));
  await inputs.tidy();
  for (const worker of workers) {
    await hello(client, worker, signal).catch((error) => {
      throw error instanceof Refusal ? refused(error, options) : error;
    });
  }
  const onFault = (message: string) => log.error(`queue: ${message}`);
  const offers = hooks.offers ?? await Offers.open({ url: queue, onFault });
  // If one cannot go on, the others save and give back what they run.
  const ending = new AbortController();
  try {
    hooks.onReady?.(workers.map(({ worker }) => worker));
    const parts = {
      client,
      inputs,
      log,
      startTraining: hooks.startTraining ?? startTraining,
      folder: join(folder, "jobs"),
      gpuMemory: options.gpuMemory,
      stop: AbortSignal.any([signal, ending.signal]),
    };
    await Promise.all(workers.map((worker) =>
      work(worker, offers, parts).catch((error) => {
        ending.abort(error instanceof Refusal ? refused(error, options) : error);
      })
    ));
    ending.signal.throwIfAborted();
  } finally {
    await offers.close();
  }
}

type Worker = { readonly version: string; readonly worker: string; readonly card: string };
type Parts = Omit<ConstructorParameters<typeof Job>[1], "onAlive">;

/** Throws a {@link Refusal} that no later call would change. */
async function work(worker: Worker, offers: WorkersOffers, parts: Parts): Promise<void> {
  const { stop, log, client } = parts;
  for (let greeted = performance.now(); !stop.aborted;) {
    const offer = await offers.take().catch((error) => void log.error(`queue: ${error.message}`));
    if (offer && await take(offer, worker, offers, parts)) continue;
    await delay(offer ? PAUSE_MS : LOOK_MS, stop);
    if (stop.aborted || performance.now() - greeted < HELLO_MS) continue;
    greeted = performance.now();
    await hello(client, worker, stop).catch((error) => {
      if (isFinal(error)) throw error;
      if (!stop.aborted) log.error(error.message);
    });
  }
}

/** Resolves to false if something on this machine kept the job from going on. */
async function take(
  offer: Offer,
  worker: Worker,
  offers: WorkersOffers,
  parts: Parts,
): Promise<boolean> {
  const { client, log, stop } = parts, fields = { job_id: offer.job, worker: worker.worker };
  let claimed: Claimed;
  try {
    claimed = parseClaimed(
      await client.json("POST", "/claims", {
        body: { ...worker, job: offer.job, offer: offer.id },
        signal: stop,
        // The server may have to read all of a model once.
        silence: 600_000,
      }),
    );
  } catch (error) {
    if (!(error instanceof Refusal) && !stop.aborted || isFinal(error)) throw error;
    const { code, message } = error as Refusal;
    // Someone else has it, or it no longer waits; if it does, the server offers it again.
    if (stop.aborted || code === "job_not_waiting" || code === LEASE_LOST) {
      await offers.remove(offer).catch(() => {});
    } else {
      // It is offered again when nobody has touched the offer for long.
      log.error(`the server does not give a job that it offers: ${message}`, fields);
    }
    return true;
  }
  log.info("a job begins", fields);
  const onAlive = () => void offers.touch(offer).catch(() => {}); // the server decides, not the offer
  const went = await new Job(claimed, { ...parts, onAlive }).run();
  log.info("a job has ended here", fields);
  await parts.inputs.tidy().catch((error) => log.fault(error));
  return went;
}

/** A sign of life of a worker without a job. */
async function hello(client: ServerClient, worker: Worker, signal: AbortSignal): Promise<void> {
  await client.json("POST", "/hello", { body: worker, signal });
}

/** Whether every other call would be refused, too. */
function isFinal(error: unknown): boolean {
  if (!(error instanceof Refusal)) return false;
  const { status, code } = error;
  return status === 401 || status === 403 || code === "other_version" || code === "no_queue";
}

function refused({ message }: Refusal, { server }: WorkerOptions): UserError {
  return new UserError(phrase`${option("server", server)}: ${message}`);
}

/** Throws a {@link UserError} if it may not be read, or is no {@link workerName}. */
function machineName(): string {
  let own;
  try {
    own = Deno.hostname();
  } catch {
    throw new UserError(
      phrase`${option("name")}: Deno may not read this machine's name`,
      phrase`permit sys=hostname, or give a name: ${option("name", "machine-b")}`,
    );
  }
  const { success, error } = workerName.safeParse(own);
  if (success) return own;
  const [{ message }] = error.issues;
  throw new UserError(
    phrase`${option("name")}: this machine's own name, ${own}, will not do: it ${message}`,
    phrase`give another: ${option("name", "machine-b")}`,
  );
}

async function readKey(path: string): Promise<string> {
  const key = (await Deno.readTextFile(path)).trim();
  if (/^\S+$/.test(key)) return key;
  throw new UserError(phrase`${option("keyFile", path)}: must hold an API key and nothing else`);
}
