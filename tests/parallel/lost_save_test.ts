/** Saves of ranks that share weights, of which the last finds that the others are gone. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { join } from "@std/path";
import { isThere } from "../../src/files/stat.ts";
import { UserError } from "../../src/options/user_error.ts";
import { ALONE, type Ranks } from "../../src/parallel/ranks.ts";
import type { TrainingEvent } from "../../src/train/events.ts";
import { Trainer } from "../../src/train/trainer.ts";
import { sharedGpu } from "../support.ts";
import { trainingTest, withWorkshop } from "../train/support.ts";

/** Rank 0 beside another that says what it says until it is `lost`, and has zeros. */
class Echoed implements Ranks {
  readonly rank = 0;
  readonly size = 2;
  readonly sentBytes = 0;
  readonly sum = ALONE.sum;
  readonly sumShares = ALONE.sumShares;
  readonly broadcast = ALONE.broadcast;
  readonly close = ALONE.close;
  /** Ranks whose bytes were asked for. */
  readonly givers = new Set<number>();
  lost = false;

  collectShares(bytes: Uint8Array<ArrayBuffer>, [own]: readonly number[]) {
    bytes.fill(0, own);
    return Promise.resolve();
  }

  gather(bytes: Uint8Array<ArrayBuffer>) {
    return Promise.resolve([bytes, bytes]);
  }

  give(_: Uint8Array<ArrayBuffer>, from: number) {
    this.givers.add(from);
    return this.lost ? Promise.reject(new UserError("rank 1 is gone")) : Promise.resolve();
  }
}

trainingTest(
  "where the last save fails no older checkpoint becomes the model",
  () =>
    withWorkshop(async ({ options, folder }) => {
      const gpu = await sharedGpu(), ranks = new Echoed();
      const given = { shardWeights: true, steps: 4, saveEvery: 2, evalShare: 0 };
      const trainer = await Trainer.pretrain(gpu, options("run", given), { ranks });
      const events: TrainingEvent[] = [];
      const run = async () => {
        for await (const event of trainer.run()) {
          events.push(event);
          // The steps up to a save are reported before it.
          ranks.lost ||= event.type === "step" && event.step === 4;
        }
      };
      await assertRejects(run, UserError, "rank 1 is gone");
      // From its keeper to rank 0, and to no other.
      assertEquals([...ranks.givers], [1]);
      const failed = events.at(-1)!;
      assert(failed.type === "failed" && failed.step === 4, JSON.stringify(failed));
      assertEquals(failed.saved.checkpoint_step, 2);
      assertEquals(failed.saved.model, undefined);
      assert(!await isThere(join(folder, "run", "model")));
    }),
);
