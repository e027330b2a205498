/** The optimizer's state, allocated for each parameter that is trained. */
import { type Allocator, PlanAllocator } from "../gpu/allocator.ts";
import type { Turn } from "../gpu/slots.ts";
import type { MatmulShape } from "../kernels/matmul/matmul.ts";
import { dealOut } from "../numbers/deal_out.ts";
import type { LlamaParameters, Parameter } from "../model/parameters.ts";
import { UserError } from "../options/user_error.ts";
import { createFiraState } from "./fira.ts";
import {
  blockRowsOf,
  isTokenTable,
  roomOfBlocks,
  storedBytes,
  updateRowsOf,
} from "./gradient_blocks.ts";
import { goesByGroups, groupOf, hasGroups, turnOf } from "./gradient_groups.ts";
import { formsGradient, routeOf } from "./gradient_route.ts";
import { KeptBuffers } from "./kept_buffers.ts";
import {
  BLOCKS,
  effectiveRank,
  isAdapter,
  keepsGradients,
  type OptimizerShape,
  sizesOf,
} from "./optimizer_shape.ts";
import {
  gatheredShape,
  gathersLowRank,
  type ParameterState,
  reducedShape,
} from "./parameter_state.ts";
import { createProjector, projectorMatmuls } from "./projector.ts";
import type { UpdateRule } from "./rules/rule.ts";
import { RULES } from "./rules/rules.ts";
import { createStableSpamState } from "./stable_spam.ts";

/** Elements that share a scale in a gradient that is summed in INT8. */
const ACCUMULATOR_GROUP = 256;

/** Optimizer state for each trained parameter, in order; `tokens` are those of a micro-batch. */
export function createParameterStates(
  allocator: Allocator,
  parameters: LlamaParameters,
  shape: OptimizerShape,
  tokens: number,
): ParameterState[] {
  if (shape.accumulatorQuant && shape.exchange) {
    throw new UserError(
      "the optimizer's shape has both exchange and accumulatorQuant, and gradients in INT8 cannot be " +
        "summed by processes",
      "give one of them",
    );
  }
  const trained = parameters.all.filter(({ trainable }) => trainable);
  const adapters = trained.every(isAdapter), keeps = keepsGradients(shape, adapters);
  const { kept = BLOCKS.kept } = shape.blocks ?? BLOCKS, buffers = new KeptBuffers(kept);
  const keepers = shape.shares && keepersOf(trained, parameters, shape);
  const states = trained.map((parameter, index) => {
    const rule = ruleOf(parameter, parameters, shape), keeper = keepers?.[index];
    const group = hasGroups(shape) ? groupOf(parameter, parameters) : undefined;
    const turn = goesByGroups(shape)
      ? turnOf(group!)
      : keeps && adapters
      ? buffers.next(storedBytes(parameter.shape))
      : undefined;
    const elsewhere = keeper !== shape.shares?.own || undefined;
    const own = elsewhere ? new PlanAllocator() : allocator;
    const state = createState({ allocator, own }, parameter, rule, shape, { tokens, keeps, turn });
    return { ...state, keeper, elsewhere, group };
  });
  const room = roomOfBlocks(states, shape);
  // The low-rank products of an adapter on a tied head are gone when its blocks are computed.
  if (parameters.head === parameters.embedding && parameters.headAdapter) return states;
  return states.map((state) => ({ ...state, blockRows: blockRowsOf(state, shape, room) }));
}

/** By parameter: who keeps its state, as large as it is. */
function keepersOf(
  trained: readonly Parameter[],
  parameters: LlamaParameters,
  shape: OptimizerShape,
): number[] {
  const bytes = trained.map((parameter) => {
    const allocator = new PlanAllocator(), own = new PlanAllocator();
    const rule = ruleOf(parameter, parameters, shape);
    createState({ allocator, own }, parameter, rule, shape, { tokens: 1, keeps: true });
    return own.account.live;
  });
  // That of a weight keeps its state.
  return dealOut(bytes, shape.shares!.count, trained.map(({ keeper }) => keeper));
}

/** `own` is for what only whoever applies its gradient needs, `allocator` for the rest. */
function createState(
  { allocator, own }: { readonly allocator: Allocator; readonly own: Allocator },
  parameter: Parameter,
  rule: UpdateRule,
  optimizer: OptimizerShape,
  { tokens, keeps, turn }: {
    readonly tokens: number;
    readonly keeps: boolean;
    /** Of a gradient that is kept. */
    readonly turn?: Turn;
  },
): ParameterState {
  const { projection, gradientAccumulation, wholeGradients, blocks = BLOCKS } = optimizer;
  const { accumulatorQuant, stableSpam } = optimizer;
  const { name, shape, kind } = parameter;
  const projector = kind === "projection" && projection
    // Low-rank gradients are projected by all of them.
    ? createProjector(projection.fira ? own : allocator, {
      name,
      shape: [shape[0], shape[1]],
      rank: effectiveRank(shape, projection.ranks?.[name] ?? projection.rank),
      quantised: projection.quantised,
      groupSize: projection.groupSize,
    })
    : undefined;
  const reduced = reducedShape({ parameter, projector });
  const fira = projector && projection?.fira ? createFiraState(own, name) : undefined;
  const route = projector && !fira && !wholeGradients
    ? routeOf(projector, tokens, blocks.block)
    : undefined;
  const isNarrow = accumulatorQuant && gradientAccumulation > 1 &&
    !gathersLowRank({ projector, fira }) && (kind === "projection" || isTokenTable(parameter));
  const sum = {
    name: `${name}.accumulated`,
    shape: gatheredShape({ parameter, projector, fira }),
    purpose: "gradients",
  } as const;
  return {
    parameter,
    projector,
    fira,
    stableSpam: stableSpam && kind === "projection" ? createStableSpamState(own, name) : undefined,
    route,
    updateRows: route && !formsGradient(route) ? updateRowsOf(parameter, blocks) : undefined,
    rule,
    state: rule.createState(own, name, reduced, sizesOf(optimizer)),
    accumulated: (gradientAccumulation > 1 || keeps) && !isNarrow
      ? allocator.tensor({ ...sum, dtype: "float32", turn })
      : undefined,
    accumulatedInt8: isNarrow
      ? allocator.tensor({ ...sum, dtype: "int8", groupSize: ACCUMULATOR_GROUP })
      : undefined,
  };
}

function ruleOf(
  parameter: Parameter,
  { head }: LlamaParameters,
  { rules: { matrices, embeddings, others, ...rules } }: OptimizerShape,
): UpdateRule {
  if (parameter === head) return RULES[rules.head ?? embeddings];
  switch (parameter.kind) {
    case "projection":
      return RULES[matrices];
    case "embedding":
    case "head":
      return RULES[embeddings];
    default:
      return RULES[others];
  }
}

/** Matrix products of a step for these parameters, for sizing the matmul workspace. */
export function optimizerMatmuls(
  states: readonly ParameterState[],
  shape: OptimizerShape,
): MatmulShape[] {
  return states.flatMap((state) => [
    ...(state.projector
      ? projectorMatmuls(state.projector, { route: state.route, rows: state.updateRows })
      : []),
    ...state.rule.matmuls(reducedShape(state), sizesOf(shape)),
  ]);
}
