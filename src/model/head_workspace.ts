/** What the head and the loss work on, for a chunk of tokens at a time. */
import type { Allocator } from "../gpu/allocator.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { padded } from "../numbers/layout.ts";
import type { LlamaConfig } from "./config.ts";
import { TURNS } from "./turns.ts";

/** Buffers of the head and the loss, for a chunk of tokens at a time. */
export interface HeadWorkspace {
  /** Tokens per chunk: a multiple of 64, or all. */
  readonly chunk: number;
  /** (chunk, V) float32. */
  readonly logits: Tensor;
  /** (N) int32 bits, -100 ignored. */
  readonly labels: Tensor;
  /** (N) float32. */
  readonly losses: Tensor;
  /** (N) float32, of the logits. */
  readonly logsumexp: Tensor;
}

/**
 * Most bytes for the logits of a chunk; but with fewer than 64 tokens the head's matmuls are slow.
 */
const LOGITS_BYTES = 32 << 20;

export function createHeadWorkspace(
  allocator: Allocator,
  config: LlamaConfig,
  tokens: number,
): HeadWorkspace {
  const chunk = headChunk(config, tokens);
  return {
    chunk,
    logits: allocator.tensor({
      name: "logits",
      shape: [chunk, config.vocabSize],
      dtype: "float32",
      purpose: "activations",
      turn: TURNS.logits,
    }),
    labels: allocator.tensor({
      name: "labels",
      shape: [tokens],
      dtype: "uint32",
      purpose: "activations",
    }),
    losses: allocator.tensor({
      name: "losses",
      shape: [tokens],
      dtype: "float32",
      purpose: "activations",
    }),
    logsumexp: allocator.tensor({
      name: "logsumexp",
      shape: [tokens],
      dtype: "float32",
      purpose: "activations",
    }),
  };
}

export function headChunk(config: LlamaConfig, tokens: number): number {
  const fitting = Math.floor(LOGITS_BYTES / (4 * padded(config.vocabSize)));
  return Math.min(tokens, Math.max(64, fitting - fitting % 64));
}
