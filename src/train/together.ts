/**
 * How ranks open a run. Rank 0 does it first and tells the others what they begin with; when they have
 * opened it as well, each says so, and what it has opened is compared. One that fails says that
 * instead, so that no other waits for it.
 */
import type { Gpu } from "../gpu/gpu.ts";
import { OtherRankError } from "../parallel/other_rank_error.ts";
import { gatherText, type Ranks } from "../parallel/ranks.ts";
import { type Lead, leadOf, type OpenRun } from "./open_run.ts";
import { assertSameRun } from "./same_run.ts";
import { sharedCards } from "./shared_cards.ts";
import { Team } from "./team.ts";

/** What a rank says of its opening. */
interface Word {
  /** Of rank 0 that has opened the run. */
  readonly lead?: Lead;
  /** The message of one that could not. */
  readonly failed?: string;
}

/** Of the others: what rank 0 gives them, once it has opened the run. */
export async function heardLead(ranks: Ranks): Promise<Lead> {
  const [{ lead }] = await say(ranks, {});
  return lead!;
}

/** The run that all ranks have opened, each its own, with its team. */
export async function together(
  gpu: Gpu,
  opening: Promise<OpenRun>,
  ranks: Ranks,
): Promise<OpenRun> {
  const run = await orTold(opening, ranks);
  if (ranks.rank === 0) await say(ranks, { lead: leadOf(run, gpu.capabilities) });
  await say(ranks, {});
  await assertSameRun(gpu, run, ranks);
  const team = new Team(
    gpu,
    run.training,
    ranks,
    run.local,
    run.recipe.options.communicationDataType,
  );
  await team.compare(run.resumed?.state.step ?? 0);
  const shared = await sharedCards(ranks);
  const warnings = shared && !gpu.capabilities.software ? [shared] : [];
  return { ...run, warnings: [...run.warnings, ...warnings], team };
}

/** A part of the opening. If it fails, the other ranks are told, unless it was they who said so. */
export async function orTold<Part>(part: Promise<Part>, ranks: Ranks | undefined): Promise<Part> {
  try {
    return await part;
  } catch (error) {
    const tells = ranks && ranks.size > 1 && !(error instanceof RankFailure);
    // It fails for all, with these words.
    if (tells) await say(ranks, { failed: (error as Error).message }).catch(() => {});
    throw error;
  }
}

/** Of a rank that could not open the run; the others have it. */
class RankFailure extends OtherRankError {}

/** What all ranks say. Throws what another one has failed at. */
async function say(ranks: Ranks, word: Word): Promise<readonly Word[]> {
  const words: Word[] = (await gatherText(ranks, JSON.stringify(word))).map((text) =>
    JSON.parse(text)
  );
  const rank = words.findIndex(({ failed }) => failed !== undefined);
  if (rank < 0) return words;
  throw new RankFailure(`rank ${rank} could not open the run: ${words[rank].failed}`);
}
