/** What to know of sequences of another length than a model was trained on. */
import type { LlamaConfig } from "./config.ts";
import type { RopeScaling } from "./rope_scaling.ts";

/** A sentence, or undefined if the length is the one that the model was trained on. */
export function lengthNote(config: LlamaConfig, length: number): string | undefined {
  const { trainedLength, ropeScaling: scaling } = config, known = knownLength(config);
  if (length === known) return undefined;
  const was = trainedLength === undefined
    ? `the model has ${known} positions${
      scaling && known < config.maxPositions ? " before RoPE is scaled" : ""
    }`
    : `the model was trained with ${known}`;
  const so = length < known
    ? "with less context the loss is higher"
    : scaling
    ? `RoPE is scaled (${scaling.type})`
    : "the later positions are new to it";
  return `sequences have ${length} tokens, ${was}: ${so}`;
}

/** The same for training, where shorter sequences are usual. */
export function longerNote(config: LlamaConfig, length: number): string[] {
  return length > knownLength(config) ? [lengthNote(config, length)!] : [];
}

/**
 * Models are published with these scalings after training with them; the others are also added to a
 * model that never saw longer texts.
 */
const TRAINED_WITH: readonly RopeScaling["type"][] = ["llama3", "longrope"];

/** The length in training, if the configuration records it; otherwise the positions of RoPE. */
function knownLength({ trainedLength, ropeScaling, maxPositions }: LlamaConfig): number {
  if (trainedLength !== undefined) return trainedLength;
  return ropeScaling && "originalMaxPositions" in ropeScaling &&
      !TRAINED_WITH.includes(ropeScaling.type)
    ? ropeScaling.originalMaxPositions
    : maxPositions;
}
