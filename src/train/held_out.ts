/** The held-out data of a run, of which a small corpus may turn out to have none. */
import { dataSpecs } from "../data/data.ts";
import { NoRowsError } from "../data/sequences.ts";
import type { Batch } from "../model/batch.ts";
import { option, type Phrase, phrase } from "../options/phrase.ts";
import { wasGiven } from "../options/schema.ts";
import type { PretrainOptions } from "./options.ts";
import type { TrainingData } from "./recipe.ts";

/** The share of texts to hold out: of those that are read as they come, none can be. */
export function shareHeldOut(options: PretrainOptions): {
  readonly evalShare: number;
  readonly warnings: readonly Phrase[];
} {
  const { data, evalData, evalShare } = options;
  const isStreamed = dataSpecs(data).some((spec) =>
    typeof spec !== "string" && typeof spec.value === "function"
  );
  // Where a share was asked for, opening the data refuses it.
  if (evalData || !isStreamed || evalShare === 0 || wasGiven(options, "evalShare")) {
    return { evalShare, warnings: [] };
  }
  const warning = phrase`the data is read as it comes, so nothing of it is held out and nothing is
    evaluated (set ${option("evalData")})`;
  return { evalShare: 0, warnings: [warning] };
}

interface Stream extends AsyncIterable<Batch> {
  close(): Promise<void>;
}

export class HeldOut {
  #empty: boolean;

  /** `open` starts a pass; `evalShare` is undefined where the data was named. */
  constructor(
    private readonly openStream: () => Promise<Stream>,
    private readonly evalShare: number | undefined,
  ) {
    this.#empty = evalShare === 0;
  }

  /**
   * Opens a pass and closes it, before the first step: faults of named data are thrown, and a share
   * of the training data that holds nothing is told.
   */
  async check(): Promise<Pick<TrainingData, "evaluates" | "warnings">> {
    if (this.#empty) return { evaluates: false, warnings: [] };
    try {
      await (await this.openStream()).close();
      return { evaluates: true, warnings: [] };
    } catch (error) {
      if (this.evalShare === undefined || !(error instanceof NoRowsError)) throw error;
      this.#empty = true;
      const warning = phrase`the held-out share of ${this.evalShare} contains no text, so nothing is
        evaluated (increase ${option("evalShare")} or set ${option("evalData")})`;
      return { evaluates: false, warnings: [warning] };
    }
  }

  /** A pass; undefined if nothing is held out. */
  async open(): Promise<Stream | undefined> {
    return this.#empty ? undefined : await this.openStream();
  }
}
