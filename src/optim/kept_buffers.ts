/** Buffers of gradients that are kept until the end of a step, to be clipped as one vector each. */
import { ALIGNMENT, type Turn } from "../gpu/slots.ts";
import { keptGradients } from "../model/turns.ts";

/** In order, as they are allocated: a buffer holds at most so many bytes, or one gradient. */
export class KeptBuffers {
  #buffer = 0;
  #end = 0;

  constructor(private readonly most: number) {}

  /** Where the next gradient lies, of so many bytes. */
  next(bytes: number): Turn {
    if (this.#end > 0 && this.#end + bytes > this.most) {
      this.#buffer++;
      this.#end = 0;
    }
    this.#end += Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
    return keptGradients(this.#buffer);
  }
}
