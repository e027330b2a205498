/**
 * The decoder, backward: each layer's equations in reverse. Gradients of weights go to the sink one
 * matrix at a time, and only after the last use of that weight in this pass, since the sink may
 * update it at once. `dx` is the gradient of `x`.
 */
import type { KernelPass } from "../gpu/pass.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { attentionBackward } from "../kernels/attention_backward.ts";
import { embeddingBackward } from "../kernels/embedding_backward.ts";
import { matmul } from "../kernels/matmul.ts";
import { rmsNorm } from "../kernels/rms_norm.ts";
import { rmsNormBackward } from "../kernels/rms_norm_backward.ts";
import { rope } from "../kernels/rope.ts";
import { sumRows } from "../kernels/sum_rows.ts";
import { swigluBackward } from "../kernels/swiglu_backward.ts";
import type { Activations, BackwardActivations } from "./activations.ts";
import { forwardToGate } from "./forward.ts";
import type { GradientSink } from "./gradients.ts";
import type { Llama } from "./llama.ts";
import type { Parameter } from "./parameters.ts";

/** From `dnormed` at the head down to the embedding. */
export function backward(
  pass: KernelPass,
  model: Llama,
  activations: Activations,
  gradients: BackwardActivations,
  sink: GradientSink,
): void {
  const { config, parameters } = model;
  pass.clear(gradients.dresidual);
  normBackward(pass, gradients, sink, {
    x: activations.residual[config.layers],
    norm: parameters.finalNorm,
    rstd: activations.finalRstd,
  });
  for (let layer = config.layers - 1; layer >= 0; layer--) {
    if (activations.keep === "layer_inputs") forwardToGate(pass, model, activations, layer);
    mlpBackward(pass, model, activations, gradients, sink, layer);
    attentionBlockBackward(pass, model, activations, gradients, sink, layer);
  }
  const { gradient, accumulate } = sink.target(parameters.embedding);
  // When tied, the head has already written its share.
  if (!accumulate && !config.tieWordEmbeddings) pass.clear(gradient);
  embeddingBackward(pass, {
    dx: gradients.dresidual,
    order: gradients.order,
    sortedTokens: gradients.sortedTokens,
    dweight: gradient,
  });
  sink.consume(pass, parameters.embedding, gradient);
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

  inputGradient(pass, model, { dy: dresidual, weight: weights.down, dx: hidden });
  // From here gate and up hold their gradients, and hidden the activation itself.
  swigluBackward(pass, { gate, up, dh: hidden });
  weightGradient(pass, model, sink, { dy: dresidual, x: hidden, parameter: weights.down });

  inputGradient(pass, model, { dy: gate, weight: weights.gate, dx: dnormed });
  inputGradient(pass, model, { dy: up, weight: weights.up, dx: dnormed, accumulate: true });
  renormalise(pass, model, {
    x: middle,
    norm: weights.postAttentionNorm,
    y: normed,
    rstd: middleRstd,
  });
  weightGradient(pass, model, sink, { dy: gate, x: normed, parameter: weights.gate });
  weightGradient(pass, model, sink, { dy: up, x: normed, parameter: weights.up });
  normBackward(pass, gradients, sink, {
    x: middle,
    norm: weights.postAttentionNorm,
    rstd: middleRstd,
  });
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

  inputGradient(pass, model, { dy: dresidual, weight: weights.output, dx: dattention });
  weightGradient(pass, model, sink, {
    dy: dresidual,
    x: saved.attention,
    parameter: weights.output,
  });
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
    batch,
    length,
    heads: config.heads,
    keyValueHeads: config.keyValueHeads,
    headSize,
    workspace: model.attention,
  });
  rope(pass, { x: dquery, table: model.rope, headSize, length, inverse: true });
  rope(pass, { x: dkey, table: model.rope, headSize, length, inverse: true });

  inputGradient(pass, model, { dy: dquery, weight: weights.query, dx: dnormed });
  inputGradient(pass, model, { dy: dkey, weight: weights.key, dx: dnormed, accumulate: true });
  inputGradient(pass, model, { dy: dvalue, weight: weights.value, dx: dnormed, accumulate: true });
  const x = activations.residual[layer];
  renormalise(pass, model, {
    x,
    norm: weights.inputNorm,
    y: normed,
    rstd: saved.inputRstd,
  });
  weightGradient(pass, model, sink, { dy: dquery, x: normed, parameter: weights.query });
  weightGradient(pass, model, sink, { dy: dkey, x: normed, parameter: weights.key });
  weightGradient(pass, model, sink, { dy: dvalue, x: normed, parameter: weights.value });
  normBackward(pass, gradients, sink, { x, norm: weights.inputNorm, rstd: saved.inputRstd });
}

/** dx (+)= dy · weight */
function inputGradient(
  pass: KernelPass,
  model: Llama,
  io: { dy: Tensor; weight: Parameter; dx: Tensor; accumulate?: boolean },
): void {
  matmul(pass, model.matmul, {
    layout: "NN",
    a: io.dy,
    b: io.weight.weight,
    c: io.dx,
    accumulate: io.accumulate,
  });
}

/** dweight (+)= dyᵀ · x, handed to the sink. */
function weightGradient(
  pass: KernelPass,
  model: Llama,
  sink: GradientSink,
  { dy, x, parameter }: { dy: Tensor; x: Tensor; parameter: Parameter },
): void {
  const { gradient, accumulate } = sink.target(parameter);
  matmul(pass, model.matmul, { layout: "TN", a: dy, b: x, c: gradient, accumulate });
  sink.consume(pass, parameter, gradient);
}

/** Recomputes a normalised input: cheaper than keeping one for each half of every layer. */
function renormalise(
  pass: KernelPass,
  model: Llama,
  io: { x: Tensor; norm: Parameter; y: Tensor; rstd: Tensor },
): void {
  rmsNorm(pass, {
    x: io.x,
    weight: io.norm.weight,
    y: io.y,
    rstd: io.rstd,
    eps: model.config.rmsNormEps,
  });
}

/** dresidual += gradient through the norm of `dnormed`; the norm's own gradient to the sink. */
function normBackward(
  pass: KernelPass,
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
  });
  const { gradient, accumulate } = sink.target(norm);
  sumRows(pass, { x: normPartial, out: gradient, accumulate });
  sink.consume(pass, norm, gradient);
}
