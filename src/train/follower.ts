/** A rank other than the first: it trains as rank 0 says, and writes and reports nothing. */
import { collectGarbage } from "../host/collect_garbage.ts";
import { OtherRankError } from "../parallel/other_rank_error.ts";
import { isFiniteStep } from "./divergence.ts";
import type { Stepping } from "./stepping.ts";
import type { SubmittedSteps } from "./submitted_steps.ts";
import type { Team } from "./team.ts";

/** Of a follower: why is said there. */
export const FAILED_FIRST = "rank 0, which leads the run, has failed";

/**
 * Until rank 0 ends the run, which a `signal` asks it to do. Throws an {@link OtherRankError} once rank 0
 * has failed.
 */
export async function follow(
  team: Team,
  stepping: Stepping,
  submitted: SubmittedSteps,
  signal: AbortSignal | undefined,
): Promise<void> {
  await stepping.compile();
  collectGarbage();
  let isFinite = true;
  const read = async () => {
    for (const figures of await submitted.read()) isFinite &&= isFiniteStep(figures);
  };
  for (;;) {
    switch (await team.nextOrder(signal?.aborted ?? false)) {
      case "step":
        await stepping.take(false);
        // The similarities of refreshes are for the lazy rule.
        if (submitted.mustRead) await read();
        break;
      case "check":
        await read();
        await team.compare(stepping.step, isFinite);
        break;
      case "fetch":
        await team.lend();
        break;
      case "gather":
        await team.gatherOrdered();
        break;
      case "save":
        await team.giveStates();
        break;
      case "end":
        return;
      case "failed":
        throw new OtherRankError(FAILED_FIRST);
    }
  }
}
