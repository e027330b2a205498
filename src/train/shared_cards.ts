/**
 * Whether ranks seem to train on one card. WebGPU gives every process the card that the driver names
 * first, and nothing that tells two cards of a kind apart; so this goes by what each was told.
 */
import { SELECTIONS } from "../host/cards.ts";
import { gatherText, type Ranks, ranksText } from "../parallel/ranks.ts";
import { variable } from "../parallel/launch.ts";

/** Where a rank is, and what it was told of its card. */
export interface RankPlace {
  readonly host: string;
  readonly selection: readonly (string | undefined)[];
}

/** Of all ranks: a warning if several of a machine were told the same. */
export async function sharedCards(ranks: Ranks): Promise<string | undefined> {
  const selection = SELECTIONS.map((name) => variable(name));
  const all = await gatherText(ranks, JSON.stringify({ host: hostname(), selection }));
  return sharedCardsText(all.map((text) => JSON.parse(text)));
}

/** By rank. */
export function sharedCardsText(places: readonly RankPlace[]): string | undefined {
  const groups = Map.groupBy(places.keys(), (rank) => JSON.stringify(places[rank]));
  const [shared] = [...groups.values()].filter((ranks) => ranks.length > 1);
  if (!shared) return undefined;
  return `${ranksText(shared)} are on one machine (${
    places[shared[0]].host
  }) and were not told which ` +
    "card is whose: if it has several, all of them train on the first. docs/parallel.md shows how to " +
    "give each its own";
}

/** Machines that may not be told apart are one. */
function hostname(): string {
  const { state } = Deno.permissions.querySync({ name: "sys", kind: "hostname" });
  return state === "granted" ? Deno.hostname() : "unknown";
}
