/**
 * Log-likelihoods of continuations: the sum of the log-probabilities of a continuation's tokens,
 * given its context.
 *
 * Defined as in EleutherAI's lm-evaluation-harness (`loglikelihood` of its `HFLM`): what does not
 * fit is truncated on the left, an empty context becomes one prefix token, and requests with the
 * same inputs, such as those of four one-letter answers, share one pass through the model.
 */
import { KernelPass } from "../gpu/pass.ts";
import { Scope } from "../gpu/scope.ts";
import { rowRange, type Tensor } from "../gpu/tensor.ts";
import type { Activations } from "../model/activations.ts";
import { IGNORED } from "../model/batch.ts";
import { headLoss } from "../model/head.ts";
import type { HeadWorkspace } from "../model/head_workspace.ts";
import type { Llama } from "../model/llama.ts";
import { begin } from "../model/pass.ts";
import { longestSequence } from "../model/rope_scaling.ts";
import {
  type LogLikelihoodRequest,
  planRows,
  planRuns,
  type ScoredRow,
  type ScoredRun,
} from "./log_likelihood_plan.ts";
import type { RunnableModel } from "./runnable_model.ts";
import { createForwardBuffers } from "./forward_buffers.ts";

export type { LogLikelihoodRequest };

/** The answer to a {@link LogLikelihoodRequest}. */
export interface LogLikelihood {
  /** Of the continuation, in nats, summed over its tokens. */
  readonly logLikelihood: number;
  /** Tokens truncated on the left of the context because it did not fit. */
  readonly dropped: number;
}

/** Options of {@link LlamaForCausalLM.logLikelihoods}. */
export interface LogLikelihoodOptions {
  /** Sequences per pass. */
  readonly batch: number;
  /** Most input tokens per request; by default, and at most, the model's positions. */
  readonly length?: number;
  /** Token used for an empty context; by default the model's BOS, or else its EOS. */
  readonly prefixToken?: number;
  /** Called with the number of requests answered. */
  readonly onProgress?: (done: number, total: number) => void;
  /** Stops between batches and rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

/**
 * Returns results in the order of the requests. The buffers exist only during the call. Throws a
 * `UserError` if a continuation is empty or longer than `length`.
 */
export async function logLikelihoods(
  model: RunnableModel,
  requests: readonly LogLikelihoodRequest[],
  options: LogLikelihoodOptions,
): Promise<LogLikelihood[]> {
  const { config, gpu } = model;
  const rows = planRows(requests, {
    length: Math.min(options.length ?? Infinity, longestSequence(config)),
    vocabSize: config.vocabSize,
    prefixToken: options.prefixToken ?? config.bosTokenId ?? [config.eosTokenId].flat()[0],
  });
  const answers: LogLikelihood[] = new Array(requests.length);
  let done = 0;
  for (const run of planRuns(rows, options.batch)) {
    const scope = new Scope(gpu);
    try {
      const scorer = createScorer(scope, model, run);
      for (let start = 0; start < run.batches.length; start += READ_EVERY) {
        const batches = run.batches.slice(start, start + READ_EVERY);
        options.signal?.throwIfAborted();
        const losses = await scorer.losses(batches);
        batches.forEach((batch, index) => {
          let at = index * scorer.stride;
          for (const { targets } of batch) {
            for (const { request, count, dropped } of targets) {
              let logLikelihood = 0;
              for (let i = 0; i < count; i++) logLikelihood -= losses[at++];
              answers[request] = { logLikelihood, dropped };
              done++;
            }
          }
        });
        options.onProgress?.(done, requests.length);
      }
    } finally {
      scope.release();
    }
  }
  return answers;
}

/** Batches per read: each read waits for the GPU. */
const READ_EVERY = 4;

interface Scorer {
  /** Elements of what {@link losses} returns that belong to one batch. */
  readonly stride: number;
  /** Loss by continuation token, in the order of rows and their targets, batch after batch. */
  losses(batches: readonly (readonly ScoredRow[])[]): Promise<Float32Array>;
}

function createScorer(
  scope: Scope,
  runnable: RunnableModel,
  run: ScoredRun,
): Scorer {
  const make = (name: string, shape: readonly number[], format: Tensor["dtype"]) =>
    scope.tensor({ name, shape, dtype: format, purpose: "activations" });
  // The head processes only the positions before continuation tokens: mostly one in hundreds.
  const { model, activations, head } = createForwardBuffers(scope, runnable, run);
  const { gpu, config, dtype } = runnable, { targets } = run;
  const scored = make("scored", [targets, config.hiddenSize], dtype);
  const collected = make("scored_losses", [READ_EVERY, targets], "float32");
  const total = make("scored_total", [1], "float32");
  const buffers = { activations, head, scored, total };
  return {
    stride: collected.stride,
    async losses(batches) {
      const pass = new KernelPass(gpu);
      batches.forEach((rows, index) => {
        recordBatch(pass, model, rows, buffers);
        pass.copy(head.losses, rowRange(collected, index, index + 1));
        // Submit before the next batch's inputs overwrite these.
        pass.submit();
      });
      const bytes = await gpu.read(collected, 0, 4 * collected.stride * batches.length);
      return new Float32Array(bytes.buffer);
    },
  };
}

interface ScorerBuffers {
  readonly activations: Activations;
  readonly head: HeadWorkspace;
  readonly scored: Tensor; // (targets, C)
  readonly total: Tensor; // (1)
}

function recordBatch(
  pass: KernelPass,
  model: Llama,
  rows: readonly ScoredRow[],
  { activations, head, scored, total }: ScorerBuffers,
): void {
  const { batch, length } = activations;
  // Pad with token 0 on the right, where causal attention hides it.
  const inputs = new Uint32Array(batch * length);
  const labels = new Int32Array(head.labels.shape[0]).fill(IGNORED);
  const positions: number[] = [];
  rows.forEach((row, index) => {
    const start = index * length, end = start + row.inputs.length;
    inputs.set(row.inputs, start);
    for (const { tokens, count } of row.targets) {
      for (let i = 0; i < count; i++) {
        labels[positions.length] = tokens[tokens.length - count + i];
        positions.push(end - count + i);
      }
    }
  });
  begin(pass, { model, activations, head }, { inputs, targets: labels });
  positions.forEach((position, row) => {
    pass.copy(rowRange(activations.normed, position, position + 1), rowRange(scored, row, row + 1));
  });
  const seen = { ...activations, normed: scored, batch: 1, length: scored.shape[0] };
  headLoss(pass, model, seen, head, { out: total, index: 0, accumulate: false });
}
