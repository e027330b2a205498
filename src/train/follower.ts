/** A rank other than the first: it trains as rank 0 says, and writes and reports nothing. */
import type { Gpu } from "../gpu/gpu.ts";
import { Activity } from "./activity.ts";
import type { OpenRun } from "./open_run.ts";
import { Stepping } from "./stepping.ts";
import { SubmittedSteps } from "./submitted_steps.ts";
import type { Team } from "./team.ts";

/** Until rank 0 ends the run, which a `signal` asks it to do. */
export async function follow(
  gpu: Gpu,
  run: OpenRun,
  team: Team,
  signal: AbortSignal | undefined,
): Promise<void> {
  const submitted = new SubmittedSteps(gpu, run.memory, run.training, 0);
  const stepping = new Stepping(gpu, run, submitted, new Activity());
  await stepping.compile();
  for (;;) {
    switch (await team.nextOrder(signal?.aborted ?? false)) {
      case "step":
        await stepping.take(false);
        // The similarities of refreshes are for the lazy rule.
        if (submitted.mustRead) await submitted.read();
        break;
      case "check":
        await team.compare(stepping.step);
        break;
      case "end":
        return;
    }
  }
}
