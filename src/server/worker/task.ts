/** What a training process is told, by itself or as one of several that a launcher started. */
import { gatherText, type Ranks } from "../../parallel/ranks.ts";
import { readJsonLines } from "../processes/lines.ts";
import type { StopCommand, TrainingTask } from "./protocol.ts";

/** Milliseconds between two looks for the launcher. */
const LOOK_MS = 500;

export interface Told {
  readonly task: TrainingTask;
  /** What the first process is told later; they end when nobody listens any more. */
  readonly orders?: AsyncIterable<StopCommand>;
}

/** A launcher gives standard input to the first process, which passes the task on. */
export async function receiveTask(ranks: Ranks): Promise<Told> {
  const lines = ranks.rank === 0
    ? readJsonLines<TrainingTask & StopCommand>(Deno.stdin.readable)
    : undefined;
  const first = await lines?.next();
  if (first?.done) Deno.exit(2);
  const [text] = await gatherText(ranks, JSON.stringify(first?.value ?? null));
  const task: TrainingTask = JSON.parse(text);
  for (const [name, value] of Object.entries(task.cards?.[ranks.rank] ?? {})) {
    Deno.env.set(name, value);
  }
  return { task, orders: lines };
}

/** Whoever started this process ends it; a launcher that was killed cannot. */
export function endWithParent(): void {
  const parent = Deno.ppid;
  const look = () => {
    if (Deno.ppid !== parent) Deno.exit(1);
  };
  Deno.unrefTimer(setInterval(look, LOOK_MS));
}
