/** Allocations that are released together. */
import type { Allocator, TensorSpec, TextureSpec, TextureTensor } from "./allocator.ts";
import type { Gpu } from "./gpu.ts";
import type { Tensor } from "./tensor.ts";

/** Tracks what is allocated through it and releases all of it at once. */
export class Scope implements Allocator, Disposable {
  readonly #made: (Tensor | TextureTensor)[] = [];

  /** An empty scope. */
  constructor(readonly gpu: Gpu) {}

  /** Allocates a tensor of zeros. */
  tensor(spec: TensorSpec): Tensor {
    const made = this.gpu.tensor(spec);
    this.#made.push(made);
    return made;
  }

  /** Allocates a staging texture. */
  texture(spec: TextureSpec): TextureTensor {
    const made = this.gpu.texture(spec);
    this.#made.push(made);
    return made;
  }

  /** Every tensor allocated. */
  get tensors(): readonly Tensor[] {
    return this.#made.filter((made) => !("texture" in made)) as Tensor[];
  }

  /** Gives back everything that was allocated. */
  release(): void {
    for (const made of this.#made.splice(0)) this.gpu.release(made);
  }

  /** {@link release}, for `using`. */
  [Symbol.dispose](): void {
    this.release();
  }
}
