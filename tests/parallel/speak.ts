/** One of the processes of ranks_test.ts: says what it received. */
import { openRanks } from "../../src/parallel/open_ranks.ts";
import { report } from "./support.ts";

const ranks = openRanks(), { rank, size } = ranks;
// Their sum depends on the order: 1 is lost beside 2^24, unless both of the large are gone first.
const large = [2 ** 24, 1, -(2 ** 24), 1];
const values = new Float32Array(1001).map((_, i) => i % 2 ? large[rank % 4] : rank + i);
const before = ranks.sentBytes;
await ranks.sum(values);
const sent = ranks.sentBytes - before;
const bytes = Uint8Array.of(rank, 7 * rank + 1);
await ranks.broadcast(bytes);
// Rank k has k + 1 of the values, and as many bytes.
const lengths = Array.from({ length: size }, (_, rank) => rank + 1);
const startOf = (of: number) => of * (of + 1) / 2, start = startOf(rank), end = startOf(rank + 1);
const shares = Float32Array.from({ length: startOf(size) }, () => large[rank % 4]);
const collected = new Uint8Array(startOf(size)).fill(rank + 1, start, end);
const sentBefore = ranks.sentBytes;
await ranks.sumShares(shares, lengths);
const sentInSum = ranks.sentBytes - sentBefore;
await ranks.collectShares(collected, lengths);
const sentInCollection = ranks.sentBytes - sentBefore - sentInSum;
// Rank 0 comes late, and asks for two at a time.
if (rank === 0) await new Promise((resolve) => setTimeout(resolve, 50));
const [gathered, empty] = await Promise.all([
  ranks.gather(new TextEncoder().encode("é".repeat(rank))),
  ranks.gather(new Uint8Array(0)),
]);
// In halves, of which a sum has eight bits.
const halves = Float32Array.from({ length: 101 }, (_, i) => Math.sin(i + rank) * 3 ** (i % 7));
const beforeHalves = ranks.sentBytes;
await ranks.sum(halves, "bfloat16");
const halvesSent = ranks.sentBytes - beforeHalves;
// Only rank 0 receives it.
const gift = Uint8Array.of(rank, 9);
await ranks.give(gift, size - 1);
report(rank, {
  rank,
  size,
  values: [...values],
  sent,
  broadcast: [...bytes],
  shares: { sums: [...shares.subarray(start, end)], sent: sentInSum },
  collected: { bytes: [...collected], sent: sentInCollection },
  halves: { values: [...halves], sent: halvesSent },
  gift: [...gift],
  gathered: gathered.map((each) => new TextDecoder().decode(each)),
  empty: empty.map(({ length }) => length),
});
await ranks.close();
// MPI does not begin again.
const isOver = await openRanks().gather(bytes).then(() => false, () => true);
if (!isOver) Deno.exit(1);
