/** A training process that is played: events without a GPU, and whatever end a test needs. */
import { basename, join } from "@std/path";
import type { Summary } from "../../../src/train/events.ts";
import type { Exit, StartTraining } from "../../../src/server/jobs/training_process.ts";
import { Journal } from "../../../src/server/worker/journal.ts";
import type { WorkerEvent } from "../../../src/server/worker/protocol.ts";

export interface Played {
  /** Steps of a run: all, unless it is stopped or ends otherwise. */
  readonly steps?: number;
  /** The last event in place of a result. */
  readonly failure?: WorkerEvent;
  /** How it ends, unless well. */
  readonly exit?: Partial<Exit>;
  /** Called before each step. */
  readonly before?: (step: number) => Promise<void> | void;
}

/**
 * Saves a checkpoint, a folder with nothing in it, after every fourth step and when stopped. Attempts
 * are counted over all jobs.
 */
export function played(play: (attempt: number, jobId: string) => Played): StartTraining {
  let attempts = 0;
  return ({ options }) => {
    const folder = String(options.output);
    const { steps = 8, failure, exit, before } = play(++attempts, basename(folder));
    const ended = Promise.withResolvers<Exit>();
    let stopped = false;
    async function* events(): AsyncGenerator<WorkerEvent> {
      using journal = new Journal(folder);
      const report = (event: unknown) => {
        journal.append(event as WorkerEvent);
        return event as WorkerEvent;
      };
      const first = checkpoints(folder).at(-1) ?? 0;
      yield report({ type: "plan", steps, trained_parameters: 1, planned_peak_bytes: 1 });
      let step = first;
      while (step < steps && !stopped) {
        await before?.(step + 1);
        if (stopped) break;
        yield report({ type: "step", step: ++step, loss: 1 / step, step_ms: 1, tokens: step });
        await new Promise((resolve) => setTimeout(resolve, 5));
        if (step % 4 && step < steps) continue;
        yield report(save(folder, step));
      }
      if (stopped && step > first && step % 4) yield report(save(folder, step));
      if (failure) yield report(failure);
      else if (!exit) {
        yield report({ type: "done", interrupted: step < steps, summary: SUMMARY });
      }
      ended.resolve({ code: failure ? 1 : 0, signal: null, log: "", ...exit });
    }
    return {
      events: events(),
      exit: ended.promise,
      stop: () => void (stopped = true),
      kill: () => ended.resolve({ code: 137, signal: "SIGKILL", log: "" }),
    };
  };
}

const SUMMARY = { final_loss: 1, tokens: 100, tokens_per_second: 1 } as Summary;

function save(folder: string, step: number) {
  Deno.mkdirSync(join(folder, `checkpoint-${step}`), { recursive: true });
  return { type: "checkpoint", step, path: "" };
}

function checkpoints(folder: string): number[] {
  const names = [...Deno.readDirSync(folder)].map(({ name }) => name);
  return names.flatMap((name) => /^checkpoint-(\d+)$/.exec(name)?.[1] ?? []).map(Number)
    .sort((a, b) => a - b);
}
