/** A process that trains one job, as the server sees it. */
import { denoProcess, GPU_ENVIRONMENT } from "../processes/deno_process.ts";
import { jsonLine, readJsonLines } from "../processes/lines.ts";
import type { WorkerEvent } from "../worker/protocol.ts";
import type { Task } from "./run_options.ts";

/** How the process ended, and the last of what it wrote to stderr. */
export interface Exit {
  readonly code: number;
  readonly signal: string | null;
  readonly log: string;
}

export interface TrainingProcess {
  /** What the run tells, to its end. */
  readonly events: AsyncIterable<WorkerEvent>;
  /** After the last event. */
  readonly exit: Promise<Exit>;
  /** Finish the step, save, end. */
  stop(): void;
  kill(): void;
}

export type StartTraining = (task: Task) => TrainingProcess;

const PROGRAM = new URL("../worker/train.ts", import.meta.url).href;
/** Of stderr, what is kept to explain a crash. */
const LOG_CHARACTERS = 4000;

/** Starts the process with leave to read what the task names and to write to its folder only. */
export const startTraining: StartTraining = ({ reads, ...task }) => {
  const folder = String(task.options.output);
  const child = denoProcess(PROGRAM, {
    read: [folder, ...reads],
    write: [folder],
    env: GPU_ENVIRONMENT,
    sys: ["systemMemoryInfo"],
  }, { stdin: "piped" }).spawn();
  const writer = child.stdin.getWriter();
  // A process that has ended hears nothing any more: its exit is what counts.
  const say = (value: unknown) => void writer.write(jsonLine(value)).catch(() => {});
  say(task);
  const log = lastOf(child.stderr);
  return {
    events: readJsonLines<WorkerEvent>(child.stdout),
    exit: child.status.then(async ({ code, signal }) => {
      writer.close().catch(() => {});
      return { code, signal, log: await log };
    }),
    stop: () => say({ command: "stop" }),
    kill() {
      try {
        child.kill("SIGKILL");
      } catch {
        // It has ended by itself.
      }
    },
  };
};

async function lastOf(stream: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<string> {
  let text = "";
  for await (const piece of stream.pipeThrough(new TextDecoderStream())) {
    text = (text + piece).slice(-LOG_CHARACTERS);
  }
  return text;
}
