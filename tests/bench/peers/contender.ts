/** What computes an operation on this machine's adapter: this project, or one that does the same. */
import { randomNormal } from "../../support.ts";
import type { Operation } from "./operations.ts";

export interface Contender {
  /** Package and what it runs on. */
  readonly name: string;
  readonly device: GPUDevice;
  /** Uploads the operands. */
  prepare(operation: Operation, operands: readonly Operand[]): Prepared;
}

export interface Prepared {
  /** Gives all of it to the queue, so often. */
  run(count: number): void;
  /** Of one repetition. */
  result(): Promise<Float32Array>;
  release(): void;
}

export interface Operand {
  readonly shape: number[];
  readonly values: Float32Array<ArrayBuffer>;
}

/** a and b; x and weight; q, k and v. */
export function operandsOf(operation: Operation): Operand[] {
  return shapesOf(operation).map((shape, i) => ({
    shape,
    values: randomNormal(shape.reduce((size, length) => size * length), i + 1),
  }));
}

function shapesOf(operation: Operation): number[][] {
  switch (operation.kind) {
    case "matmul": {
      const { layout, m, n, k } = operation;
      return [layout === "TN" ? [k, m] : [m, k], layout === "NT" ? [n, k] : [k, n]];
    }
    case "rms_norm":
      return [[operation.rows, operation.columns], [operation.columns]];
    case "attention": {
      const { B, T, H, D } = operation;
      return [0, 1, 2].map(() => [B * T, H * D]);
    }
  }
}
