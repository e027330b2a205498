/** Reads the file of a run for `memory` and `bench`, which pick their own options from the run's. */
import { z } from "../packages/zod.ts";
import { finetuneOptions } from "../train/finetune_options.ts";
import { methodNamed } from "../train/methods.ts";
import { plansFinetuning } from "../train/option_effects.ts";
import { pretrainOptions } from "../train/options.ts";
import { presetOf } from "../train/presets.ts";
import { type ConfigFile, loadConfig } from "../config/config_file.ts";

/** Options of a command. */
interface Fields {
  readonly fields: Readonly<Record<string, unknown>>;
}

/**
 * Missing sizes default to those of the file's command, so that the plan is the run's: `finetune`
 * if the file has an option that only `finetune` knows, or adapters beside the weights of `model`,
 * but not if it has one that only `pretrain` knows, or a preset, which has no weights.
 */
export async function loadConfigForSizes(path: string, fields: z.ZodRawShape): Promise<ConfigFile> {
  const runs = { ...pretrainOptions.fields, ...finetuneOptions.fields };
  const config = await loadConfig(path, { ...runs, ...fields });
  const given: Record<string, unknown> = { ...config.implied, ...config.given };
  const method = methodNamed(given.optimizer);
  const hasOptionOf = (own: Fields, other: Fields) =>
    Object.keys(given).some((option) =>
      Object.hasOwn(own.fields, option) && !Object.hasOwn(other.fields, option)
    );
  const pretrains = hasOptionOf(pretrainOptions, finetuneOptions) ||
    presetOf(given.model) !== undefined;
  const isFinetuning = hasOptionOf(finetuneOptions, pretrainOptions) ||
    (!pretrains && method !== undefined && plansFinetuning({ optimizer: method }));
  const run = isFinetuning ? finetuneOptions.fields : pretrainOptions.fields;
  const implied: Record<string, unknown> = { finetune: isFinetuning };
  for (const [option, field] of Object.entries(run)) {
    if (!Object.hasOwn(fields, option)) continue;
    const usual = z.safeParse(field, undefined), here = z.safeParse(fields[option], undefined);
    // What is the same anyway is left out: an option of no effect is refused where it is given.
    if (usual.success && usual.data !== here.data) implied[option] = usual.data;
  }
  const known = (options: Record<string, unknown>) =>
    Object.fromEntries(
      Object.entries(options).filter(([option, value]) =>
        Object.hasOwn(fields, option) && value !== undefined
      ),
    );
  return {
    ...config,
    given: known(config.given),
    implied: { ...known(implied), ...known(config.implied) },
  };
}
