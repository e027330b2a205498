/** What of the options of `memory` was given, and is kept where the rest is tried. */
import { wasGiven } from "../options/schema.ts";
import type { MemoryInput, MemoryOptions } from "../train/memory_options.ts";

/** Not of a run, but of the command. */
const ASKED = ["fit", "allocate", "table", "plot"];

export function givenSizes(options: MemoryOptions): MemoryInput {
  const given = Object.entries(options).filter(([name]) =>
    !ASKED.includes(name) && wasGiven(options, name)
  );
  return Object.fromEntries(given) as MemoryInput;
}

/** Of several processes: that the figures are those of each. */
export const inProcesses = ({ ranks = 1 }: Pick<MemoryInput, "ranks">): string =>
  ranks > 1 ? `, in each of ${ranks} processes` : "";
