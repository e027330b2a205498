/**
 * The backward pass of the model: each layer's equations in reverse. Weight gradients go to the
 * sink one matrix at a time, after the last use of that weight in this pass, since the sink may
 * update it immediately, and when dnormed and dattention are dead, since it may take their memory
 * (turns.ts). `dx` is the gradient of `x`.
 */
import type { KernelPass } from "../gpu/pass.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { attentionBackward } from "../kernels/attention/attention_backward.ts";
import { embeddingBackward } from "../kernels/misc/embedding_backward.ts";
import { gluBackward } from "../kernels/misc/glu_backward.ts";
import { rmsNormBackward } from "../kernels/norm/rms_norm_backward.ts";
import { rope } from "../kernels/misc/rope.ts";
import { sumRows } from "../kernels/misc/sum_rows.ts";
import type { Activations, BackwardActivations } from "./activations.ts";
import { byHead, firstKeysOf, forwardToGate, normalise, restoreInput } from "./forward.ts";
import { blocksOf, type GradientSink } from "./gradients.ts";
import { headGradientOfRows, type HeadRows } from "./head_rows.ts";
import { linearInputGradient, linearWeightGradients } from "./linear.ts";
import type { Llama } from "./llama.ts";
import { embeddingLoraGradients } from "./lora_embedding.ts";
import type { Parameter } from "./parameters.ts";

/**
 * From `dnormed` at the head down to the embedding. `tiedHead`: what {@link headLossAndGradients}
 * returned.
 */
export function backward(
  pass: KernelPass,
  model: Llama,
  activations: Activations,
  gradients: BackwardActivations,
  sink: GradientSink,
  tiedHead?: HeadRows,
): void {
  const { config, parameters } = model;
  pass.clear(gradients.dresidual);
  normBackward(pass, model, gradients, sink, {
    x: activations.residual[config.layers],
    norm: parameters.finalNorm,
    rstd: activations.finalRstd,
  });
  for (let layer = config.layers - 1; layer >= 0; layer--) {
    model.gather?.(pass, layer);
    if (activations.keep !== "everything") {
      restoreInput(pass, activations, layer);
      forwardToGate(pass, model, activations, layer);
    }
    mlpBackward(pass, model, activations, gradients, sink, layer);
    attentionBlockBackward(pass, model, activations, gradients, sink, layer);
    pass.passed("backward", config.layers - layer, config.layers);
  }
  const { embedding, embeddingAdapter: adapter } = parameters;
  const { embeddingScale: scale } = config;
  const { dresidual: dx, order, sortedTokens } = gradients;
  if (adapter) {
    const { tokens } = activations, io = { adapter, tokens, dx, order, sortedTokens, scale };
    embeddingLoraGradients(pass, model.lora!, sink, io);
  }
  if (!embedding.trainable) return;
  const blocks = blocksOf(sink, embedding), tied = config.tieWordEmbeddings;
  if (tied && blocks.length > 1 && !tiedHead) {
    throw new Error(
      "backward: a tied head's gradient in blocks needs what headLossAndGradients gave",
    );
  }
  for (const rows of blocks) {
    const target = sink.target(embedding, rows), { gradient, accumulate } = target;
    if (tiedHead) headGradientOfRows(pass, model, tiedHead, rows, target);
    // When tied and whole, the head has already written its contribution.
    else if (!accumulate && !tied) pass.clear(gradient);
    const firstRow = rows.start;
    embeddingBackward(pass, { dx, order, sortedTokens, dweight: gradient, firstRow, scale });
    sink.consume(pass, embedding, gradient, rows);
  }
}

function mlpBackward(
  pass: KernelPass,
  model: Llama,
  activations: Activations,
  gradients: BackwardActivations,
  sink: GradientSink,
  layer: number,
): void {
  const weights = model.parameters.layers[layer];
  const { gate, up, middle, middleRstd } = activations.layers[layer];
  const { hidden, normed } = activations;
  const { dresidual, dnormed } = gradients;

  linearInputGradient(pass, model, { linear: weights.down, dy: dresidual, dx: hidden });
  // From here on gate and up hold their gradients, and hidden the activation itself.
  gluBackward(pass, { activation: model.config.activation, gate, up, dh: hidden });
  linearWeightGradients(pass, model, sink, { linear: weights.down, dy: dresidual, x: hidden });

  linearInputGradient(pass, model, { linear: weights.gate, dy: gate, dx: dnormed });
  linearInputGradient(pass, model, { linear: weights.up, dy: up, dx: dnormed, accumulate: true });
  // Recomputing a normalised input is cheaper than keeping one for each half of every layer.
  const norm = { x: middle, norm: weights.postAttentionNorm, rstd: middleRstd };
  normalise(pass, model, { ...norm, y: normed });
  normBackward(pass, model, gradients, sink, norm);
  linearWeightGradients(pass, model, sink, { linear: weights.gate, dy: gate, x: normed });
  linearWeightGradients(pass, model, sink, { linear: weights.up, dy: up, x: normed });
}

function attentionBlockBackward(
  pass: KernelPass,
  model: Llama,
  activations: Activations,
  gradients: BackwardActivations,
  sink: GradientSink,
  layer: number,
): void {
  const { config } = model;
  const weights = model.parameters.layers[layer];
  const saved = activations.layers[layer];
  const { batch, length, normed } = activations;
  const { dresidual, dnormed, dquery, dkey, dvalue, dattention, delta } = gradients;
  const { headSize } = config;

  const { query, key, value, output } = weights;
  linearInputGradient(pass, model, { linear: output, dy: dresidual, dx: dattention });
  attentionBackward(pass, {
    q: saved.query,
    k: saved.key,
    v: saved.value,
    out: saved.attention,
    dout: dattention,
    logsumexp: saved.logsumexp,
    dq: dquery,
    dk: dkey,
    dv: dvalue,
    delta,
    firstKeys: firstKeysOf(config, activations, layer),
    batch,
    length,
    heads: config.heads,
    keyValueHeads: config.keyValueHeads,
    headSize,
    workspace: model.attention,
  });
  linearWeightGradients(pass, model, sink, { linear: output, dy: dresidual, x: saved.attention });
  rope(pass, { x: dquery, table: model.rope, headSize, length, inverse: true });
  rope(pass, { x: dkey, table: model.rope, headSize, length, inverse: true });

  if (saved.heads) headsBackward(pass, model, activations, gradients, sink, layer);

  linearInputGradient(pass, model, { linear: query, dy: dquery, dx: dnormed });
  linearInputGradient(pass, model, { linear: key, dy: dkey, dx: dnormed, accumulate: true });
  linearInputGradient(pass, model, { linear: value, dy: dvalue, dx: dnormed, accumulate: true });
  const norm = {
    x: activations.residual[layer],
    norm: weights.inputNorm,
    rstd: saved.inputRstd,
  };
  normalise(pass, model, { ...norm, y: normed });
  normBackward(pass, model, gradients, sink, norm);
  linearWeightGradients(pass, model, sink, { linear: query, dy: dquery, x: normed });
  linearWeightGradients(pass, model, sink, { linear: key, dy: dkey, x: normed });
  linearWeightGradients(pass, model, sink, { linear: value, dy: dvalue, x: normed });
}

/** Through the norms of q and k: dquery and dkey become gradients of the projections' outputs. */
function headsBackward(
  pass: KernelPass,
  { config: { headSize }, parameters }: Llama,
  activations: Activations,
  { dquery, dkey, headPartial }: BackwardActivations,
  sink: GradientSink,
  layer: number,
): void {
  const { queryNorm, keyNorm } = parameters.layers[layer];
  const heads = activations.layers[layer].heads!;
  const partial = headPartial!;
  const back = (dy: Tensor, x: Tensor, rstd: Tensor, norm: Parameter) => {
    const gradient = byHead(dy, headSize);
    rmsNormBackward(pass, {
      dy: gradient,
      x: byHead(x, headSize),
      weight: norm.weight,
      rstd,
      dx: gradient,
      partial,
    });
    normGradient(pass, sink, norm, partial);
  };
  back(dquery, heads.query, heads.queryRstd, queryNorm!);
  back(dkey, heads.key, heads.keyRstd, keyNorm!);
}

/** dresidual += `dnormed` through the norm; the norm's own gradient goes to the sink. */
function normBackward(
  pass: KernelPass,
  { config }: Llama,
  { dresidual, dnormed, normPartial }: BackwardActivations,
  sink: GradientSink,
  { x, norm, rstd }: { x: Tensor; norm: Parameter; rstd: Tensor },
): void {
  rmsNormBackward(pass, {
    dy: dnormed,
    x,
    weight: norm.weight,
    rstd,
    dx: dresidual,
    partial: normPartial,
    offset: config.normOffset,
    accumulate: true,
  });
  normGradient(pass, sink, norm, normPartial);
}

function normGradient(
  pass: KernelPass,
  sink: GradientSink,
  norm: Parameter,
  partial: Tensor,
): void {
  if (!norm.trainable) return;
  const { gradient, accumulate } = sink.target(norm);
  sumRows(pass, { x: partial, out: gradient, accumulate });
  sink.consume(pass, norm, gradient);
}
