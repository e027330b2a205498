/** The options of a run that several ranks share: each is given its own batches. */
import { option, phrase } from "../options/phrase.ts";
import { withDefaults } from "../options/schema.ts";
import { UserError } from "../options/user_error.ts";
import type { Ranks } from "../parallel/ranks.ts";

interface Accumulating {
  readonly gradientAccumulation: number;
}

/** The name of standard input. */
const STDIN = "-";

/** Of options as each rank is given them those of the run: its accumulation counts all batches. */
export function ofAllRanks<
  Options extends Accumulating & { readonly data?: unknown; readonly evalData?: unknown },
>(options: Options, ranks: Pick<Ranks, "size"> | undefined): Options {
  const { size } = ranks ?? { size: 1 };
  if (size === 1) return options;
  for (const name of ["data", "evalData"] as const) {
    if (![options[name]].flat().includes(STDIN)) continue;
    throw new UserError(
      phrase`${option(name, STDIN)}: launchers give standard input to rank 0 alone`,
      "write it to a file that all processes can read",
    );
  }
  return withBatchesOf(options, size);
}

/** The same for options whose data is not read: a plan's. */
export function withBatchesOf<Options extends Accumulating>(
  options: Options,
  ranks: number,
): Options {
  return ranks === 1 ? options : withAccumulation(options, ranks * options.gradientAccumulation);
}

/** Of a run's options those that each of its ranks was given. */
export function ofOneRank<Options extends Accumulating>(options: Options, size = 1): Options {
  return size === 1 ? options : withAccumulation(options, options.gradientAccumulation / size);
}

function withAccumulation<Options extends Accumulating>(options: Options, batches: number) {
  return withDefaults(options, { gradientAccumulation: batches } as Partial<Options>);
}
