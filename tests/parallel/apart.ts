/** One of the processes of ranks_test.ts: rank 0 does something else than the others. */
import { openRanks } from "../../src/parallel/open_ranks.ts";
import { report } from "./support.ts";

const ranks = openRanks(), { rank } = ranks;
const messageOf = (operation: Promise<unknown>) =>
  operation.then(() => "", ({ message }: Error) => message);
await ranks.sum(new Float32Array(2));
const error = await messageOf(
  rank === 0 ? ranks.gather(new Uint8Array(3)) : ranks.sum(new Float32Array(2)),
);
const again = await messageOf(ranks.broadcast(new Uint8Array(1)));
report(rank, { error, again, closed: await messageOf(ranks.close()) });
// Whoever ends first has the launcher end the others.
await new Promise((resolve) => setTimeout(resolve, 1000));
