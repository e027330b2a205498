/** Types of what is used of TensorFlow.js: its own bring a second, older set of WebGPU's. */

export interface Tensor {
  data(): Promise<Float32Array>;
  dispose(): void;
}

export declare function setBackend(name: "webgpu"): Promise<boolean>;
/** What `webgpu` registers. */
export declare function backend(): {
  readonly device: GPUDevice;
  ensureCommandEncoderReady(): void;
  endComputePassEncoder(): void;
  /** Gives the queue the work that waits for a batch to fill. */
  submitQueue(): void;
};
export declare function env(): { set(flag: string, value: boolean): void };

export declare function tensor(values: Float32Array, shape: number[]): Tensor;
export declare function matMul(
  a: Tensor,
  b: Tensor,
  transposeA?: boolean,
  transposeB?: boolean,
): Tensor;
export declare function add(a: Tensor, b: Tensor | number): Tensor;
export declare function sub(a: Tensor, b: Tensor): Tensor;
export declare function mul(a: Tensor, b: Tensor | number): Tensor;
export declare function square(x: Tensor): Tensor;
export declare function rsqrt(x: Tensor): Tensor;
export declare function mean(x: Tensor, axis: number, keepDims: boolean): Tensor;
export declare function softmax(x: Tensor): Tensor;
export declare function reshape(x: Tensor, shape: number[]): Tensor;
export declare function transpose(x: Tensor, order: number[]): Tensor;
/** Calls it, and disposes of all tensors that it made but its result. */
export declare function tidy(run: () => Tensor): Tensor;
