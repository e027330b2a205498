/** The operands of attention, forward and backward, for every variant of the kernels. */
import type { TextureTensor } from "../../gpu/allocator.ts";
import type { Tensor } from "../../gpu/tensor.ts";

/** Staging textures; undefined where attention reads its operands directly. */
export interface AttentionWorkspace {
  /** Staged queries. */
  readonly q: TextureTensor;
  /** Staged keys. */
  readonly k: TextureTensor;
  /** Staged values. */
  readonly v: TextureTensor;
  /** For the backward pass. */
  readonly backward?: {
    /** Staged gradients of the outputs. */
    readonly dout: TextureTensor;
    /** Probabilities, of as many heads and queries as it holds. */
    readonly p: TextureTensor;
    /** Their gradients. */
    readonly ds: TextureTensor;
    /**
     * (T·D) float32: what the heads and queries so far add to dk of one key/value head, which is
     * rounded once. One element if p holds all that share keys.
     */
    readonly dk: Tensor;
    /** The same for dv. */
    readonly dv: Tensor;
  };
}

/** Operands of {@link attention}. */
export interface Attention {
  /** (B·Tq, H·D) float32 or bfloat16. */
  readonly q: Tensor;
  /** (B·S, K·D), like v: S rows per sequence, of which the first `keyLength` are valid. */
  readonly k: Tensor;
  /** (B·S, K·D). */
  readonly v: Tensor;
  /** (B·Tq, H·D) overwritten. */
  readonly out: Tensor;
  /** (B·Tq, H) float32, overwritten: of the scaled scores. */
  readonly logsumexp: Tensor;
  /**
   * (B·Tq) uint32: the first of its sequence's keys that each query sees, all without it. Within a
   * sequence they never fall, and none is beyond the last key that its query sees.
   */
  readonly firstKeys?: Tensor;
  /** Sequences, B. */
  readonly batch: number;
  /** Queries of a sequence, Tq. */
  readonly queryLength: number;
  /** Keys that each sequence has, at most S. */
  readonly keyLength: number;
  /** Keys that a sequence has room for, S. */
  readonly keyCapacity: number;
  /** Heads, H. */
  readonly heads: number;
  /** Key/value heads, K. */
  readonly keyValueHeads: number;
  /** Elements of a head, D: a multiple of 4 up to 256. */
  readonly headSize: number;
  /** From {@link createAttentionWorkspace}, if it returned one. */
  readonly workspace?: AttentionWorkspace;
}

/** Operands of {@link attentionBackward}. */
export interface AttentionBackward {
  /** (B·T, H·D) float32 or bfloat16. */
  readonly q: Tensor;
  /** (B·T, K·D). */
  readonly k: Tensor;
  /** (B·T, K·D). */
  readonly v: Tensor;
  /** (B·T, H·D). */
  readonly out: Tensor;
  /** (B·T, H·D). */
  readonly dout: Tensor;
  /** (B·T, H) float32, saved by attention. */
  readonly logsumexp: Tensor;
  /** (B·T, H·D) overwritten. */
  readonly dq: Tensor;
  /** (B·T, K·D) overwritten. */
  readonly dk: Tensor;
  /** (B·T, K·D) overwritten. */
  readonly dv: Tensor;
  /** (B·T, 2·H) float32, overwritten: of each head rowsum(dout · out), and its logsumexp. */
  readonly delta: Tensor;
  /** (B·T) uint32: the first of its sequence's keys that each query sees; as in the forward pass. */
  readonly firstKeys?: Tensor;
  /** Sequences, B. */
  readonly batch: number;
  /** Tokens of a sequence, T. */
  readonly length: number;
  /** Heads, H. */
  readonly heads: number;
  /** Key/value heads, K. */
  readonly keyValueHeads: number;
  /** Elements of a head, D: a multiple of 4 up to 256. */
  readonly headSize: number;
  /** From {@link createAttentionWorkspace}, created for the backward pass too. */
  readonly workspace?: AttentionWorkspace;
}
