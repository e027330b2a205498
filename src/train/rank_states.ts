/**
 * The states of all ranks in rank 0's checkpoint, where they train by themselves and so have different
 * ones. Those of another rank pass to rank 0 as they are written, and begin with its name there.
 */
import { ahead } from "../files/ahead.ts";
import type { Block } from "../files/contents.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { LazyRefresh } from "../optim/lazy_refresh.ts";
import { gatherText, type Ranks } from "../parallel/ranks.ts";
import type { Training } from "./build.ts";
import type { CheckpointEntry } from "./checkpoint.ts";
import { inBlocks, stateEntries, stateTensors } from "./state.ts";

/** State of the lazy rule, by parameter. */
type Lazy = Readonly<Record<string, LazyRefresh>>;

/** What reads ahead of the others may take. */
const AHEAD_BYTES = 16 << 20;

/** What the entries of a rank begin with. */
export function entryPrefix(rank: number): string {
  return rank === 0 ? "" : `rank${rank}.`;
}

/** What rank 0 receives while it writes a checkpoint. */
export class CollectedStates implements AsyncDisposable {
  readonly entries: readonly CheckpointEntry[];
  readonly #rest: (readonly [rank: number, bytes: number])[] = [];

  private constructor(
    private readonly ranks: Ranks,
    training: Training,
    /** Of the other ranks, in order. */
    readonly lazy: readonly Lazy[],
  ) {
    const others = Array.from({ length: ranks.size - 1 }, (_, index) => index + 1);
    this.entries = others.flatMap((rank) =>
      stateTensors(training).map(({ name, tensor }) => ({
        name: `${entryPrefix(rank)}${name}`,
        data: inBlocks(tensor, (into) => this.#take(into)).map((block) => {
          this.#rest.push([rank, block.bytes]);
          return block;
        }),
      }))
    );
  }

  /** Of rank 0, once the others do {@link giveStates}. */
  static async begin(ranks: Ranks, training: Training): Promise<CollectedStates> {
    const [, ...lazy] = await gatherText(ranks, JSON.stringify(training.optimizer.refreshes.lazy));
    return new CollectedStates(ranks, training, lazy.map((text) => JSON.parse(text)));
  }

  #take(into: Uint8Array<ArrayBuffer>): Promise<void> {
    const [rank] = this.#rest.shift()!;
    return this.ranks.give(into, rank);
  }

  /** Takes what a checkpoint that failed has not: the others give all of it. */
  async [Symbol.asyncDispose](): Promise<void> {
    while (this.#rest.length) await this.#take(new Uint8Array(this.#rest[0][1]));
  }
}

/** Of the other ranks. */
export async function giveStates(gpu: Gpu, training: Training, ranks: Ranks): Promise<void> {
  await gatherText(ranks, JSON.stringify(training.optimizer.refreshes.lazy));
  const blocks = stateEntries(gpu, training).flatMap(({ data }) => data);
  for (let rank = 1; rank < ranks.size; rank++) {
    const read = async ({ bytes, fill }: Block) => {
      const into = new Uint8Array(bytes);
      if (rank === ranks.rank) await fill(into);
      return into;
    };
    const bytes = ({ bytes }: Block) => bytes;
    for await (const own of ahead(blocks, read, { bytes, most: AHEAD_BYTES })) {
      await ranks.give(own, rank);
    }
  }
}
