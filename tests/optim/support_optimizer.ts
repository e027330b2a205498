/** An optimizer over a few parameters that a test gives gradients to, as the backward pass would. */
import type { Gpu } from "../../src/gpu/gpu.ts";
import { KernelPass } from "../../src/gpu/pass.ts";
import { inSlots } from "../../src/gpu/slots.ts";
import type { SumOfSquares } from "../../src/kernels/optim/clip_norm.ts";
import { elementsOf } from "../../src/numbers/layout.ts";
import { packTensor } from "../../src/numbers/plain.ts";
import type { ParameterKind } from "../../src/model/description.ts";
import type { LlamaParameters, Parameter } from "../../src/model/parameters.ts";
import { Optimizer } from "../../src/optim/optimizer.ts";
import type { OptimizerShape } from "../../src/optim/optimizer_shape.ts";
import { createParameterStates, optimizerMatmuls } from "../../src/optim/optimizer_state.ts";
import type { OptimizerRates } from "../../src/optim/rates.ts";
import { download, upload } from "../support.ts";
import { matmulWorkspace } from "./support.ts";

/** The matrices, and a vector, of tests/golden/optimizer_gradients.py. */
export const GOLDEN_SHAPES = { wide: [24, 64], tall: [64, 24], odd: [61, 37], vector: [19] };

/** The gradients of tests/golden/optimizer_gradients.py. */
export function goldenGradient(shape: readonly number[], step: number): Float32Array<ArrayBuffer> {
  const columns = shape.at(-1)!, size = step % 5 === 0 ? 16 : 1;
  return Float32Array.from({ length: elementsOf({ shape }) }, (_, at) => {
    const i = Math.floor(at / columns), j = at % columns;
    let total = 0;
    for (let k = 0; k < 3; k++) {
      const u = (i * (37 + k) + k * 101 + Math.floor(step / 7)) % 29 - 14;
      const v = (j * (53 + k) + k * 211 + Math.floor(step / 5)) % 31 - 15;
      total += (3 - k) * u * v;
    }
    const noise = (i * 7919 + j * 104729 + step * 15485863) % 1009 - 504;
    return size * (4 * total + noise) / 2 ** 18;
  });
}

export interface DrivenStep {
  readonly step: number;
  readonly lr: number;
  readonly rates: OptimizerRates;
}

/** Gradients of a micro-batch, by parameter. */
export type Gradients = Readonly<Record<string, Float32Array<ArrayBuffer>>>;

/** Float32 parameters that begin at zero, and their optimizer. */
export class DrivenOptimizer {
  readonly optimizer: Optimizer;
  readonly #parameters: readonly Parameter[];
  /** Of the last step: the sum of squares of the gradients. */
  readonly #norm: SumOfSquares;

  constructor(
    readonly gpu: Gpu,
    shapes: Readonly<Record<string, readonly number[]>>,
    shape: OptimizerShape,
    kindOf: (shape: readonly number[]) => ParameterKind = ({ length }) =>
      length > 1 ? "projection" : "norm",
  ) {
    this.#norm = { out: upload(gpu, "norm", [1]), index: 0 };
    this.#parameters = Object.entries(shapes).map(([name, shape], index) => ({
      name,
      shape,
      kind: kindOf(shape),
      weight: upload(gpu, name, shape),
      trainable: true,
      kept: true,
      index,
    }));
    const parameters = { all: this.#parameters } as unknown as LlamaParameters;
    this.optimizer = inSlots(gpu, (allocator) => {
      const states = createParameterStates(allocator, parameters, shape, 16);
      const matmul = matmulWorkspace(gpu, optimizerMatmuls(states, shape), allocator);
      return Optimizer.create(allocator, parameters, states, shape, matmul);
    });
  }

  /** Takes a step of these micro-batches. */
  async take(batches: readonly Gradients[], step: DrivenStep): Promise<void> {
    const { gpu, optimizer } = this;
    optimizer.beginStep({ ...step, norm: this.#norm });
    for (const [index, gradients] of batches.entries()) {
      optimizer.beginMicroBatch(index);
      for (const parameter of this.#parameters) {
        const { gradient, accumulate } = optimizer.target(parameter);
        const before = accumulate ? await download(gpu, gradient) : undefined;
        const values = gradients[parameter.name].map((value, i) => value + (before?.[i] ?? 0));
        gpu.write(gradient, packTensor(gradient, values));
        const pass = new KernelPass(gpu);
        optimizer.consume(pass, parameter, gradient);
        pass.submit();
      }
    }
    const pass = new KernelPass(gpu);
    optimizer.finish(pass);
    if (optimizer.keeps) optimizer.applyAll(pass);
    pass.submit();
  }

  /** The norm of all gradients of the last step, where they are clipped. */
  async norm(): Promise<number> {
    return Math.sqrt((await download(this.gpu, this.#norm.out))[0]);
  }

  async weights(): Promise<Map<string, Float32Array>> {
    const weights = new Map<string, Float32Array>();
    for (const { name, weight } of this.#parameters) {
      weights.set(name, await download(this.gpu, weight));
    }
    return weights;
  }
}
