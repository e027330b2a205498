/** What differs between the two kinds of runs. */
import type { OptionFields, Options } from "../options/schema.ts";
import { finetuneOptions } from "../train/finetune_options.ts";
import type { Effect } from "../train/effect.ts";
import { FINETUNE_EFFECTS, PRETRAIN_EFFECTS } from "../train/option_effects.ts";
import { pretrainOptions } from "../train/options.ts";
import { type ComparedKind, compareFinetuneOptions, comparePretrainOptions } from "./options.ts";

/** Values of options by their names. */
export type Values = Readonly<Record<string, unknown>>;

interface Kind {
  readonly compared: { readonly fields: OptionFields };
  readonly run: Options<Values, Values>;
  readonly effects: readonly Effect[];
}

const asValues = (options: unknown) => options as Options<Values, Values>;
export const KINDS: Readonly<Record<ComparedKind, Kind>> = {
  pretrain: {
    compared: comparePretrainOptions,
    run: asValues(pretrainOptions),
    effects: PRETRAIN_EFFECTS,
  },
  finetune: {
    compared: compareFinetuneOptions,
    run: asValues(finetuneOptions),
    effects: FINETUNE_EFFECTS,
  },
};
