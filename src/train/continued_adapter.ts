/** What a run that trains an adapter further takes from it. */
import type { PeftAdapter } from "../formats/peft/adapter.ts";
import type { LoraModules } from "../model/lora_shape.ts";
import { option, phrase } from "../options/phrase.ts";
import { UserError } from "../options/user_error.ts";
import type { TrainingShape } from "./build.ts";
import type { FinetuneOptions } from "./finetune_options.ts";

/** The part of a run's shape that an adapter determines. */
export interface Continued extends Pick<TrainingShape, "trained"> {
  /** Its adapters, module by module. */
  readonly lora: LoraModules;
}

/** The parameters that can be trained whole beside adapters. */
const VOCABULARY = ["model.embed_tokens.weight", "lm_head.weight"];

/**
 * Embedding and head are trained on if the adapter has them whole, or if that is asked for. Throws a
 * {@link UserError} if the adapter has anything else that would be lost.
 */
export function continuedShape(
  { folder, lora, wholes, rows }: PeftAdapter,
  resized: boolean,
  { trainEmbeddings }: Pick<FinetuneOptions, "trainEmbeddings">,
): Continued {
  const adapted = VOCABULARY.filter((name) => name.slice(0, -".weight".length) in lora.modules);
  const whole = VOCABULARY.filter((name) => wholes.has(name));
  const others = [...wholes.keys()].filter((name) => !VOCABULARY.includes(name));
  const lost = [...others, ...rows.keys()];
  if (lost.length) {
    throw new UserError(
      `${folder}: holds ${lost.slice(0, 3).join(", ")}${lost.length > 3 ? ", …" : ""}, which ` +
        "adapters here do not train",
      phrase`merge the adapter into its model, and start from that without ${option("adapter")}`,
    );
  }
  // peft saves the base of an adapted embedding with it, which stays as it is.
  const trained = trainEmbeddings || resized || whole.some((name) => !adapted.includes(name));
  if (trained && adapted.length) {
    throw new UserError(
      `${folder}: has an adapter on ${adapted.join(" and ")}, which would be trained whole as well`,
      phrase`merge the adapter into its model, and start from that without ${option("adapter")}`,
    );
  }
  return { lora, trained: trained ? "adapters_and_embeddings" : "adapters" };
}
