/** A worker: takes jobs of a server's queue and runs them on this machine. */
import { join } from "../../packages/std_path.ts";
import { FolderLock } from "../../files/folder_lock.ts";
import { option, phrase } from "../../options/phrase.ts";
import { UserError } from "../../options/user_error.ts";
import { ownPlaces } from "../jobs/slots.ts";
import { type StartTraining, startTraining } from "../jobs/training_process.ts";
import { Offers } from "../pool/offers.ts";
import { assertPermissible } from "../processes/deno_process.ts";
import { probeCards, probeDevice } from "../processes/probe.ts";
import type { ServerLog } from "../server_log.ts";
import type { OwnWorker } from "../services.ts";
import { Dispatch, type WorkersOffers } from "./dispatch.ts";
import { Inputs } from "./inputs.ts";
import { describeMachine } from "./machine.ts";
import { workerName, type WorkerOptions } from "./options.ts";
import { Refusal, ServerClient } from "./server_client.ts";

export interface AgentHooks {
  /** Saves and gives back what runs, then ends. */
  readonly signal: AbortSignal;
  readonly log: ServerLog;
  /** Called once, when it takes jobs. */
  onReady?(workers: readonly string[]): void;
  /** For tests: what stands in for the training process. */
  readonly startTraining?: StartTraining;
  /** For tests: its workers, for which no GPU is looked then. */
  readonly workers?: readonly OwnWorker[];
  /** For tests: offers without a database. */
  readonly offers?: WorkersOffers;
}

/**
 * Runs jobs until the signal aborts; resolves when the last is saved and given back. Throws a
 * {@link UserError} if it cannot begin: a folder, a key, a GPU, a server of another version.
 */
export async function runAgent(options: WorkerOptions, hooks: AgentHooks): Promise<void> {
  const { signal, log } = hooks, { folder } = options;
  assertPermissible([folder]);
  const key = options.keyFile === undefined ? undefined : await readKey(options.keyFile);
  const client = new ServerClient({ server: options.server, key, log });
  for (const each of ["inputs", "jobs"]) await Deno.mkdir(join(folder, each), { recursive: true });
  using _lock = await FolderLock.take(folder);
  // What a worker that was killed has left.
  await Deno.remove(join(folder, "jobs"), { recursive: true });
  const name = options.name ?? machineName();
  const workers = hooks.workers ?? await probeWorkers(options.workers, name);
  const inputs = new Inputs(client, join(folder, "inputs"));
  await inputs.tidy();
  const onFault = (message: string) => log.error(`queue: ${message}`);
  const offers = hooks.offers ?? await Offers.open({ url: options.queue, onFault });
  const dispatch = new Dispatch(await describeMachine(folder, workers), {
    client,
    inputs,
    log,
    offers,
    startTraining: hooks.startTraining ?? startTraining,
    folder: join(folder, "jobs"),
    gpuMemory: options.gpuMemory,
    stop: signal,
  });
  try {
    await dispatch.hello();
    hooks.onReady?.(workers.map(({ worker }) => worker));
    await dispatch.run();
  } catch (error) {
    throw error instanceof Refusal ? refused(error, options) : error;
  } finally {
    await offers.close();
  }
}

/** One on each card, unless it is said how many. */
async function probeWorkers(count: number | undefined, name: string): Promise<OwnWorker[]> {
  const device = await probeDevice();
  return ownPlaces(count, device.name, await probeCards(device), name);
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
