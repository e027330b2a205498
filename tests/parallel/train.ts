/**
 * One of the processes of data_parallel_test.ts: trains several runs in turn and says what it saw.
 * Arguments: a JSON list of runs.
 */
import { Gpu } from "../../src/gpu/gpu.ts";
import { openRanks } from "../../src/parallel/open_ranks.ts";
import type { Ranks, WireFormat } from "../../src/parallel/ranks.ts";
import { explain, UserError } from "../../src/options/user_error.ts";
import type { TrainingEvent } from "../../src/train/events.ts";
import { WITHIN } from "../../src/train/exchange.ts";
import { Trainer } from "../../src/train/trainer.ts";
import { report } from "./support.ts";
import type { RankReport, RankRun } from "./support_runs.ts";

/** Counts what sums send, and notes the checksums that are compared. */
class Witness implements Ranks {
  readonly rank: number;
  readonly size: number;
  readonly sums: number[] = [];
  readonly checksums: string[][] = [];
  #fetches = false;

  constructor(private readonly ranks: Ranks, private readonly drifts: boolean) {
    ({ rank: this.rank, size: this.size } = ranks);
  }

  get sentBytes() {
    return this.ranks.sentBytes;
  }

  async sum(values: Float32Array<ArrayBuffer>, format?: WireFormat) {
    const before = this.sentBytes;
    await this.ranks.sum(values, format);
    this.sums.push(this.sentBytes - before);
    if (this.drifts) values[0]++;
  }

  async sumShares(values: Float32Array<ArrayBuffer>, lengths: readonly number[]) {
    const before = this.sentBytes;
    await this.ranks.sumShares(values, lengths);
    this.sums.push(this.sentBytes - before);
  }

  async collectShares(bytes: Uint8Array<ArrayBuffer>, lengths: readonly number[]) {
    const before = this.sentBytes, fetched = this.#fetches;
    this.#fetches = false;
    await this.ranks.collectShares(bytes, lengths);
    if (!fetched) this.sums.push(this.sentBytes - before);
  }

  broadcast(bytes: Uint8Array<ArrayBuffer>) {
    // A layer that rank 0 evaluates.
    this.#fetches = bytes.length === 2;
    return this.ranks.broadcast(bytes);
  }

  async gather(bytes: Uint8Array<ArrayBuffer>) {
    const gathered = await this.ranks.gather(bytes);
    const texts = gathered.map((each) => new TextDecoder().decode(each));
    if (texts.every((text) => /^[0-9a-f]{8}$/.test(text))) this.checksums.push(texts);
    return gathered;
  }

  give(bytes: Uint8Array<ArrayBuffer>, from: number) {
    return this.ranks.give(bytes, from);
  }

  close() {
    return this.ranks.close();
  }
}

const ranks = openRanks(), { rank } = ranks;
using gpu = await Gpu.open();
const runs: RankRun[] = JSON.parse(Deno.args[0]), usual = WITHIN.leastBytes;

/** As soon as rank 0 has written this file. */
async function dieOnce(path: string): Promise<void> {
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    if (await Deno.stat(path).then(() => true, () => false)) Deno.kill(Deno.pid, "SIGKILL");
  }
}

for (const run of runs) {
  const { options, alone, ofRank, dies, stops, drifts, leaves, breaks, catches } = run;
  if (alone && rank > 0) continue;
  WITHIN.leastBytes = run.leastBytes ?? usual;
  const witness = new Witness(ranks, drifts === rank), events: TrainingEvent[] = [];
  const own = { ...options, ...ofRank?.[rank] };
  const controller = new AbortController();
  using account = gpu.account.watch();
  let trainer: Trainer | undefined;
  const tell = (error?: string) => {
    const { sums, checksums } = witness;
    const { step, plan } = trainer ?? {};
    const memory = plan && { planned: plan.plannedPeakBytes, peak: account.peak };
    report(rank, { sums, checksums, events, memory, step, error } satisfies RankReport);
  };
  try {
    trainer = await Trainer.pretrain(gpu, own, { ranks: alone ? undefined : witness });
    if (dies === rank) void dieOnce(`${own.output}/checkpoint-1/manifest.json`);
    if (stops === rank) setTimeout(() => controller.abort(), 1);
    for await (const event of trainer.run({ signal: controller.signal })) {
      events.push(event);
      if (leaves && rank === 0) break;
      if (breaks && event.type === "plan") Deno.mkdirSync(`${own.output}/metrics.jsonl`);
    }
  } catch (error) {
    if (breaks || catches) {
      tell((error as Error).message);
      continue;
    }
    if (!(error instanceof UserError)) throw error;
    tell(explain(error));
    Deno.exit(1);
  }
  if (!alone) tell();
}
await ranks.close();
