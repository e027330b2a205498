/** The server's handle on a process that trains one job. */
import { SELECTIONS } from "../../host/cards.ts";
import { LAUNCH_VARIABLES } from "../../parallel/launch.ts";
import { libraryPlaces } from "../../parallel/mpi_library.ts";
import { denoProcess, GPU_ENVIRONMENT, type Permissions } from "../processes/deno_process.ts";
import { findLauncher } from "../processes/find_launcher.ts";
import type { Launching } from "../processes/launcher.ts";
import { jsonLine, readJsonLines } from "../processes/lines.ts";
import type { WorkerEvent } from "../worker/protocol.ts";
import { Hindrance } from "./hindrance.ts";
import type { Task } from "./run_options.ts";

/** Why a worker gave a job up. */
export interface Loss {
  readonly reason: string;
  /** Whether it counts against the job, as a crash does. */
  readonly isFault: boolean;
}

/** How the process ended, and the tail of its stderr. */
export interface Exit {
  readonly code: number;
  readonly signal: string | null;
  readonly log: string;
  /** Without this server knowing of anything wrong with the job. */
  readonly lost?: Loss;
}

export interface TrainingProcess {
  /** The run's events, to its end. */
  readonly events: AsyncIterable<WorkerEvent>;
  /** After the last event. */
  readonly exit: Promise<Exit>;
  /** Finishes the step, saves and ends. */
  stop(): void;
  kill(): void;
  /** Of a process elsewhere: it goes on without this server. */
  leave?(): void;
}

export type StartTraining = (task: Task) => TrainingProcess;

const PROGRAM = new URL("../worker/train.ts", import.meta.url).href;
/** Characters of stderr kept to explain a crash. */
const LOG_CHARACTERS = 4000;
/** In which a launcher ends what it started. */
const KILL_MS = 5000;

/**
 * Starts the process, or by MPI's launcher those that train it together, with permission to read only
 * the task's paths and write only its folder. Throws a {@link Hindrance} if the system does not start
 * one.
 */
export const startTraining: StartTraining = ({ reads, environment, ...task }) => {
  const folder = String(task.options.output), launching = launchingOf(task.ranks);
  const command = denoProcess(PROGRAM, {
    read: [folder, ...reads],
    write: [folder],
    env: GPU_ENVIRONMENT,
    sys: ["systemMemoryInfo", "statfs"],
    ...(launching && forRanks(launching)),
  }, { stdin: "piped", environment, launching });
  const child = spawned(command);
  const writer = child.stdin.getWriter();
  // Writes to a process that has ended fail; its exit reports the cause.
  const send = (value: unknown) => void writer.write(jsonLine(value)).catch(() => {});
  send(task);
  const log = lastOf(child.stderr);
  const end = (signal: Deno.Signal) => {
    try {
      child.kill(signal);
    } catch {
      // It has already ended.
    }
  };
  return {
    events: readJsonLines<WorkerEvent>(child.stdout),
    exit: child.status.then(async ({ code, signal }) => {
      writer.close().catch(() => {});
      return { code, signal, log: await log };
    }),
    stop: () => send({ command: "stop" }),
    kill() {
      if (!launching) return end("SIGKILL");
      // A launcher that is killed leaves what it started, which ends when it sees that.
      end("SIGTERM");
      const timer = setTimeout(() => end("SIGKILL"), KILL_MS);
      child.status.finally(() => clearTimeout(timer));
    },
  };
};

function launchingOf(size = 1): Launching | undefined {
  if (size === 1) return undefined;
  try {
    return { launcher: findLauncher(), size };
  } catch (error) {
    throw new Hindrance(`${(error as Error).message}; then resume the job`);
  }
}

/** What processes need to speak to each other, and to choose their cards. */
function forRanks({ launcher: { family } }: Launching): Permissions {
  return {
    env: [...GPU_ENVIRONMENT, ...LAUNCH_VARIABLES, ...SELECTIONS],
    ffi: libraryPlaces(family),
  };
}

function spawned(command: Deno.Command): Deno.ChildProcess {
  try {
    return command.spawn();
  } catch (error) {
    throw new Hindrance(
      `The system does not start a training process (${(error as Error).message}): it may lack ` +
        "memory or processes, or Deno itself; then resume the job",
    );
  }
}

async function lastOf(stream: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<string> {
  let text = "";
  for await (const piece of stream.pipeThrough(new TextDecoderStream())) {
    text = (text + piece).slice(-LOG_CHARACTERS);
  }
  return text;
}
