/**
 * An update rule turns a gradient into an update. Each rule is one file in this folder; it knows
 * neither weights nor projections, so that GaLore's low-rank space (optim/projector.ts) can wrap
 * any of them.
 */
import type { Allocator } from "../../gpu/allocator.ts";
import type { KernelPass } from "../../gpu/pass.ts";
import type { Turn } from "../../gpu/slots.ts";
import { type Tensor, viewAs } from "../../gpu/tensor.ts";
import type { MatmulShape, MatmulWorkspace } from "../../kernels/matmul/matmul.ts";
import type { OptimizerRates } from "../rates.ts";

/**
 * Blocks of a gradient's rows start at multiples of this. Whatever is kept of 256 consecutive elements
 * then starts with a block, and is bound at a multiple of 256 bytes also where that is one float32 and
 * a row has eight elements.
 */
export const BLOCK_ROWS = 2048;

/** Tensors of one parameter's state by name. Freshly allocated, all bytes are zero. */
export type RuleState = Readonly<Record<string, Tensor | undefined>>;

/** Scratch memory of a rule, by name. */
export type RuleWorkspace = Readonly<Record<string, Tensor>>;

/** What sizes a rule besides the shapes of its gradients. */
export interface RuleSizes {
  /** Of the space in which APOLLO measures a gradient; a smaller matrix gets less. */
  readonly rank: number;
}

export interface UpdateRule<
  State extends RuleState = RuleState,
  Workspace extends RuleWorkspace = RuleWorkspace,
> {
  /** Checkpoints keep a state's tensors as `<parameter>.<label>.<tensor>`. */
  readonly label: string;
  /** The state for a gradient of this shape: the parameter's, or that of its low-rank space. */
  createState(
    allocator: Allocator,
    name: string,
    shape: readonly number[],
    sizes: RuleSizes,
  ): State;
  /** Matrix products of a step, for sizing the matmul workspace. */
  matmuls(shape: readonly number[], sizes: RuleSizes): readonly MatmulShape[];
  /**
   * Scratch memory shared by gradients of these shapes, where the rule needs any. `inTurns`: all are of
   * projections, so that it may take turns with what is dead by then (model/turns.ts).
   */
  createWorkspace?(
    allocator: Allocator,
    shapes: readonly (readonly number[])[],
    sizes: RuleSizes,
    inTurns?: boolean,
  ): Workspace;
  /**
   * The state of rows [start, end) of the parameter: {@link record} then takes the gradient of these
   * rows alone, with the same bits as of the whole. `start` is a multiple of {@link BLOCK_ROWS}. A
   * rule without it, which needs a gradient whole, is given it whole.
   */
  rows?(state: State, start: number, end: number): State;
  /** Records the step: overwrites the gradient with the update to add to the weight. */
  record(pass: KernelPass, io: UpdateStep<State, Workspace>): void;
}

export interface UpdateStep<
  State extends RuleState = RuleState,
  Workspace extends RuleWorkspace = RuleWorkspace,
> {
  /** float32, of the shape that the state was created for, or of its rows; overwritten with the update. */
  readonly gradient: Tensor;
  /** Overwritten. */
  readonly state: State;
  readonly workspace?: Workspace;
  readonly matmul: MatmulWorkspace;
  /** From 1. */
  readonly step: number;
  readonly lr: number;
  readonly rates: OptimizerRates;
  /** Index of the parameter in its model: with the seed, the key of what a rule draws. */
  readonly tensor: number;
}

/** Float32 scratch memory, of so many elements each; names begin with the owner's. */
export function createScratch<Name extends string>(
  allocator: Allocator,
  owner: string,
  sizes: Readonly<Record<Name, number>>,
  turns?: Readonly<Partial<Record<Name, Turn>>>,
): Record<Name, Tensor> {
  const make = ([name, size]: [string, unknown]) => [
    name,
    allocator.tensor({
      name: `${owner}.${name}`,
      shape: [size as number],
      dtype: "float32",
      purpose: "workspace",
      turn: turns?.[name as Name],
    }),
  ];
  return Object.fromEntries(Object.entries(sizes).map(make));
}

/** The beginning of scratch memory as a tensor of this shape, by name. */
export function scratchViews<Name extends string>(
  owner: string,
  scratch: Readonly<Record<Name, Tensor>>,
): (name: Name, shape: readonly number[]) => Tensor {
  return (name, shape) => viewAs(scratch[name], `${owner}.${name}`, shape);
}

/** A rule accepts any shape; only a method's assignment guarantees matrices to those that need them. */
export function matrixShape(rule: string, shape: readonly number[]): [m: number, n: number] {
  if (shape.length !== 2) throw new Error(`${rule}: updates matrices, got (${shape.join(", ")})`);
  return [shape[0], shape[1]];
}
