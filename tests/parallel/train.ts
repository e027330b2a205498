/**
 * One of the processes of data_parallel_test.ts: trains several runs in turn and says what it saw.
 * Arguments: a JSON list of runs.
 */
import { Gpu } from "../../src/gpu/gpu.ts";
import { openRanks } from "../../src/parallel/open_ranks.ts";
import type { Ranks } from "../../src/parallel/ranks.ts";
import { explain, UserError } from "../../src/options/user_error.ts";
import type { TrainingEvent } from "../../src/train/events.ts";
import { Trainer } from "../../src/train/trainer.ts";
import { report } from "./support.ts";
import type { RankReport, RankRun } from "./support_runs.ts";

/** Counts what sums send, and notes the checksums that are compared. */
class Witness implements Ranks {
  readonly rank: number;
  readonly size: number;
  readonly sums: number[] = [];
  readonly checksums: string[][] = [];

  constructor(private readonly ranks: Ranks, private readonly drifts: boolean) {
    ({ rank: this.rank, size: this.size } = ranks);
  }

  get sentBytes() {
    return this.ranks.sentBytes;
  }

  async sum(values: Float32Array<ArrayBuffer>) {
    const before = this.sentBytes;
    await this.ranks.sum(values);
    this.sums.push(this.sentBytes - before);
    if (this.drifts) values[0]++;
  }

  broadcast(bytes: Uint8Array<ArrayBuffer>) {
    return this.ranks.broadcast(bytes);
  }

  async gather(bytes: Uint8Array<ArrayBuffer>) {
    const gathered = await this.ranks.gather(bytes);
    const texts = gathered.map((each) => new TextDecoder().decode(each));
    if (texts.every((text) => /^[0-9a-f]{8}$/.test(text))) this.checksums.push(texts);
    return gathered;
  }

  close() {
    return this.ranks.close();
  }
}

const ranks = openRanks(), { rank } = ranks;
using gpu = await Gpu.open();
for (const { options, alone, ...faults } of JSON.parse(Deno.args[0]) as RankRun[]) {
  if (alone && rank > 0) continue;
  const { ofRank, dies, stops, drifts } = faults;
  const witness = new Witness(ranks, drifts === rank), events: TrainingEvent[] = [];
  const own = { ...options, ...ofRank?.[rank] };
  const controller = new AbortController();
  const tell = (error?: string) => {
    const { sums, checksums } = witness;
    report(rank, { sums, checksums, events, error } satisfies RankReport);
  };
  try {
    const trainer = await Trainer.pretrain(gpu, own, { ranks: alone ? undefined : witness });
    if (dies === rank) setTimeout(() => Deno.kill(Deno.pid, "SIGKILL"), 1);
    if (stops === rank) setTimeout(() => controller.abort(), 1);
    for await (const event of trainer.run({ signal: controller.signal })) events.push(event);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    tell(explain(error));
    Deno.exit(1);
  }
  if (!alone) tell();
}
await ranks.close();
