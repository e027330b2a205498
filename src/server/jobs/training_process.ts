/** The server's handle on a process that trains one job. */
import { denoProcess, GPU_ENVIRONMENT } from "../processes/deno_process.ts";
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

/**
 * Starts the process with permission to read only the task's paths and write only its folder. Throws
 * a {@link Hindrance} if the system does not start one.
 */
export const startTraining: StartTraining = ({ reads, environment, ...task }) => {
  const folder = String(task.options.output);
  const command = denoProcess(PROGRAM, {
    read: [folder, ...reads],
    write: [folder],
    env: GPU_ENVIRONMENT,
    sys: ["systemMemoryInfo", "statfs"],
  }, { stdin: "piped", environment });
  const child = spawned(command);
  const writer = child.stdin.getWriter();
  // Writes to a process that has ended fail; its exit reports the cause.
  const send = (value: unknown) => void writer.write(jsonLine(value)).catch(() => {});
  send(task);
  const log = lastOf(child.stderr);
  return {
    events: readJsonLines<WorkerEvent>(child.stdout),
    exit: child.status.then(async ({ code, signal }) => {
      writer.close().catch(() => {});
      return { code, signal, log: await log };
    }),
    stop: () => send({ command: "stop" }),
    kill() {
      try {
        child.kill("SIGKILL");
      } catch {
        // It has already ended.
      }
    },
  };
};

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
