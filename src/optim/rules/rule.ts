/**
 * An update rule turns a gradient into an update. Each rule is one file in this folder; it knows
 * neither weights nor projections, so that GaLore's low-rank space (optim/projector.ts) can wrap
 * any of them.
 */
import type { Allocator } from "../../gpu/allocator.ts";
import type { KernelPass } from "../../gpu/pass.ts";
import type { Tensor } from "../../gpu/tensor.ts";
import type { MatmulShape, MatmulWorkspace } from "../../kernels/matmul/matmul.ts";
import type { OptimizerRates } from "../rates.ts";

/** Tensors of one parameter's state by name. Freshly allocated, all bytes are zero. */
export type RuleState = Readonly<Record<string, Tensor | undefined>>;

/** Scratch memory of a rule, by name. */
export type RuleWorkspace = Readonly<Record<string, Tensor>>;

export interface UpdateRule<
  State extends RuleState = RuleState,
  Workspace extends RuleWorkspace = RuleWorkspace,
> {
  /** Checkpoints keep a state's tensors as `<parameter>.<label>.<tensor>`. */
  readonly label: string;
  /** The state for a gradient of this shape: the parameter's, or that of its low-rank space. */
  createState(allocator: Allocator, name: string, shape: readonly number[]): State;
  /** Matrix products of a step, for sizing the matmul workspace. */
  matmuls(shape: readonly number[]): readonly MatmulShape[];
  /** Scratch memory shared by gradients of these shapes, where the rule needs any. */
  createWorkspace?(allocator: Allocator, shapes: readonly (readonly number[])[]): Workspace;
  /** Records the step: overwrites the gradient with the update to add to the weight. */
  record(pass: KernelPass, io: UpdateStep<State, Workspace>): void;
}

export interface UpdateStep<
  State extends RuleState = RuleState,
  Workspace extends RuleWorkspace = RuleWorkspace,
> {
  /** float32, of the shape that the state was created for; overwritten with the update. */
  readonly gradient: Tensor;
  /** Overwritten. */
  readonly state: State;
  readonly workspace?: Workspace;
  readonly matmul: MatmulWorkspace;
  /** From 1. */
  readonly step: number;
  readonly lr: number;
  readonly rates: OptimizerRates;
}
