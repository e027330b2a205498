/** How often a run reads the same text. */
import type { BatchSource, BatchStream } from "../data/batches.ts";
import { option, type Phrase, phrase } from "../options/phrase.ts";
import { counted } from "../text.ts";

/** Up to here repeated text teaches nearly as much as new text (Muennighoff et al. 2023). */
const HARMLESS = 4;

/** The same batches, with a note once it is known that the run repeats its data more than that. */
export function notingRepeats(
  batches: BatchStream,
  run: {
    readonly steps: number;
    readonly batchSize: number;
    readonly gradientAccumulation: number;
  },
): BatchSource {
  const rows = run.steps * run.batchSize * run.gradientAccumulation;
  let noted = false;
  const notes = (): Phrase[] => {
    const all = batches.rowsPerPass;
    if (noted || all === undefined || rows <= HARMLESS * all) return [];
    noted = true;
    return [
      phrase`the data has ${counted(all, "sequence")}, and a run of ${run.steps} steps reads each ${
        Math.round(rows / all)
      } times: beyond ${HARMLESS}, more text or fewer ${option("steps")} do better`,
    ];
  };
  return {
    next: () => batches.next(),
    position: () => batches.position(),
    close: () => batches.close(),
    takeNotes: () => [...batches.takeNotes(), ...notes()],
  };
}
