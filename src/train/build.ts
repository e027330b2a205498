/**
 * Everything that training allocates, in one place and up front: run against a PlanAllocator it
 * produces the memory plan, run against the device it sets up the run. Nothing is allocated later.
 */
import { createLoadWorkspace, type LoadWorkspace } from "../formats/pretrained.ts";
import { type Allocator, PlanAllocator } from "../gpu/allocator.ts";
import type { Scope } from "../gpu/scope.ts";
import { inSlots } from "../gpu/slots.ts";
import type { Tensor } from "../gpu/tensor.ts";
import type { ActivationType } from "../kernels/format.ts";
import type { Capabilities } from "../gpu/capabilities.ts";
import {
  type Activations,
  type BackwardActivations,
  createActivations,
  createBackwardActivations,
} from "../model/activations.ts";
import type { LlamaConfig } from "../model/config.ts";
import { headRowsMatmuls } from "../model/head_rows.ts";
import { createHeadWorkspace, type HeadWorkspace } from "../model/head_workspace.ts";
import { createLlama, type Llama } from "../model/llama.ts";
import type { LoraShape } from "../model/lora_shape.ts";
import {
  createParameters,
  type Trained,
  type WeightFormat,
  type WeightType,
} from "../model/parameters.ts";
import { Optimizer } from "../optim/optimizer.ts";
import type { OptimizerShape } from "../optim/optimizer_shape.ts";
import { createParameterStates, optimizerMatmuls } from "../optim/optimizer_state.ts";
import { restartMatmuls } from "../optim/restarts.ts";
import { crossEntropyObjective, type Objective, type SubmitLoss } from "./objective.ts";

/** Everything that determines the memory of a run, apart from its objective. */
export interface TrainingShape {
  /** Sequences of a micro-batch, B. */
  readonly batchSize: number;
  /** Tokens of a sequence, T. */
  readonly seqLen: number;
  /** Format of activations. */
  readonly dtype: ActivationType;
  /** Whether a layer's activations are recomputed on the way back. */
  readonly activationCheckpointing: boolean;
  /** Whether the layers' inputs, which are then kept, are int8. */
  readonly activationQuant?: boolean;
  /** Format of the projections. */
  readonly weights: WeightType;
  /** Elements per INT8 group. */
  readonly weightGroupSize: number;
  /** Format of embedding and head. */
  readonly embeddings: WeightFormat["embeddings"];
  /** Format of the embedding, if it is kept in host memory. */
  readonly offloadedEmbedding?: WeightFormat["offloadedEmbedding"];
  /** Which parameters are trained. */
  readonly trained: Trained;
  /** Adapters, where those are trained. */
  readonly lora?: LoraShape & { readonly dropout: number };
  /** Sizes of the optimizer. */
  readonly optimizer: OptimizerShape;
  /** Positions of the sequence in which samples are generated between steps; see samples.ts. */
  readonly samplePositions?: number;
}

/** Whether such a run trains embedding and head. */
export function trainsEmbeddings({ trained }: Pick<TrainingShape, "trained">): boolean {
  return trained !== "body" && trained !== "adapters";
}

/** Steps whose losses stay on the device until one read fetches them all. */
export const LOSS_RING = 16;

/** The part of a run that a recipe writes its first weights to, and saves the last from. */
export interface TrainedModel {
  /** The model. */
  readonly model: Llama;
  /** For weights loaded from a file. */
  readonly load?: LoadWorkspace;
  /** float32, room for some rows of each quantised matrix; free until the first step. */
  readonly scratch: Tensor;
}

export interface Training extends TrainedModel {
  readonly activations: Activations;
  readonly backward: BackwardActivations;
  readonly head: HeadWorkspace;
  readonly optimizer: Optimizer;
  readonly objective: Objective;
  readonly submit: SubmitLoss;
  /** ({@link LOSS_RING} + 1) float32: the loss sums of recent steps, and of an evaluation. */
  readonly losses: Tensor;
  /** ({@link LOSS_RING}) float32, if gradients are clipped: of all of a step's, the sums of squares. */
  readonly gradientSquares?: Tensor;
}

export function buildTraining(
  allocator: Allocator,
  config: LlamaConfig,
  shape: TrainingShape,
  capabilities: Capabilities,
  objective: Objective = crossEntropyObjective,
): Training {
  return inSlots(allocator, (slots) => allocate(slots, config, shape, capabilities, objective));
}

function allocate(
  allocator: Allocator,
  config: LlamaConfig,
  shape: TrainingShape,
  capabilities: Capabilities,
  objective: Objective,
): Training {
  const { batchSize: batch, seqLen: length, dtype, optimizer: { shares } } = shape;
  if (shares && shares.own === undefined) {
    throw new Error(`${shares.count} processes share the states: the shape must say which this is`);
  }
  const tokens = batch * length;
  const parameters = createParameters(allocator, config, {
    weights: shape.weights,
    groupSize: shape.weightGroupSize,
    embeddings: shape.embeddings,
    offloadedEmbedding: shape.offloadedEmbedding,
    trained: shape.trained,
    lora: shape.lora,
    shares: shares?.weights ? shares : undefined,
  });
  const states = createParameterStates(allocator, parameters, shape.optimizer, tokens);
  const headBlock = states.find(({ parameter }) => parameter === parameters.head)?.blockRows;
  const inputs = shape.activationQuant ? "layer_inputs_int8" : "layer_inputs";
  const keep = shape.activationCheckpointing ? inputs : "everything";
  const options = { batch, length, dtype, keep } as const;
  const activations = createActivations(allocator, config, options);
  const backward = createBackwardActivations(allocator, config, {
    ...options,
    keepHeadInput: config.tieWordEmbeddings && !!headBlock,
  });
  const head = createHeadWorkspace(allocator, config, tokens);
  const headProducts = headBlock ? headRowsMatmuls(config, head, headBlock) : [];
  const model = createLlama(allocator, config, parameters, {
    capabilities,
    batch,
    length,
    headRows: head.chunk,
    backward: true,
    factors: states.some(({ route }) => route),
    dtype,
    loraDropout: shape.lora?.dropout,
    matmuls: [
      ...restartMatmuls(parameters, shape.optimizer),
      ...optimizerMatmuls(states, shape.optimizer),
      ...headProducts,
    ],
  });
  const optimizer = Optimizer.create(allocator, parameters, states, shape.optimizer, model.matmul);
  const load = createLoadWorkspace(allocator, parameters, optimizer.idle);
  const losses = allocator.tensor({
    name: "losses",
    shape: [LOSS_RING + 1],
    dtype: "float32",
    purpose: "workspace",
  });
  const gradientSquares = shape.optimizer.clips
    ? allocator.tensor({
      name: "step_squares",
      shape: [LOSS_RING],
      dtype: "float32",
      purpose: "workspace",
    })
    : undefined;
  return {
    model,
    activations,
    backward,
    head,
    optimizer,
    objective,
    submit: objective.build(allocator, { config, tokens }),
    load,
    scratch: load?.source ?? optimizer.idle,
    losses,
    gradientSquares,
  };
}

/**
 * The same on the device: planned first, so that its buffers are created in the order that takes the
 * least of the driver's memory.
 */
export function allocateTraining(
  scope: Scope,
  config: LlamaConfig,
  shape: TrainingShape,
  objective?: Objective,
): Training {
  const { gpu } = scope, { capabilities } = gpu, planned = new PlanAllocator();
  buildTraining(planned, config, shape, capabilities, objective);
  using _reserved = gpu.reserve(planned.tensors);
  return buildTraining(scope, config, shape, capabilities, objective);
}
