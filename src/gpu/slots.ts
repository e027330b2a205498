/**
 * Memory that tensors take in turn. A slot is one buffer; what it holds in one phase is dead in its
 * others, so it is as large as the largest phase needs. That is known once everything is allocated:
 * what allocates runs twice, first to measure.
 *
 * A phase's tensors lie side by side in the one buffer, so no dispatch may write one of them and read
 * another: WebGPU tracks whole buffers.
 */
import {
  type Allocator,
  layOut,
  PlanAllocator,
  type TensorSpec,
  type TextureSpec,
  type TextureTensor,
} from "./allocator.ts";
import type { Purpose, Tensor } from "./tensor.ts";

/** Of every adapter's offsets of bindings. */
const ALIGNMENT = 256;

/** What a slot needs: bytes, and the column of the memory plan of what needs most. */
interface SlotSize {
  bytes: number;
  purpose: Purpose;
}

/** Where the tensors of a slot's phase end so far. */
class Ends {
  readonly #ends = new Map<string, number>();

  /** The start of a tensor of so many bytes. */
  place({ slot, phase }: Turn, bytes: number): number {
    const key = `${slot} ${phase}`, start = this.#ends.get(key) ?? 0;
    this.#ends.set(key, start + Math.ceil(bytes / ALIGNMENT) * ALIGNMENT);
    return start;
  }
}

/** When a tensor has a slot's memory. */
export type Turn = NonNullable<TensorSpec["turn"]>;

/** Runs what allocates, with its tensors' turns taken in slots. */
export function inSlots<T>(allocator: Allocator, build: (allocator: Allocator) => T): T {
  const sizes = new Map<string, SlotSize>();
  build(new Measuring(sizes));
  return build(new Slots(allocator, sizes));
}

class Measuring extends PlanAllocator {
  readonly #ends = new Ends();

  constructor(readonly sizes: Map<string, SlotSize>) {
    super();
  }

  override tensor(spec: TensorSpec): Tensor {
    const { turn, purpose } = spec;
    if (!turn) return super.tensor(spec);
    const made = layOut(spec, () => null);
    const start = this.#ends.place(turn, made.byteLength);
    const bytes = Math.ceil((start + made.byteLength) / ALIGNMENT) * ALIGNMENT;
    if (bytes > (this.sizes.get(turn.slot)?.bytes ?? 0)) {
      this.sizes.set(turn.slot, { bytes, purpose });
    }
    return made;
  }
}

class Slots implements Allocator {
  readonly #ends = new Ends();
  readonly #slots = new Map<string, Tensor>();

  constructor(
    private readonly allocator: Allocator,
    private readonly sizes: ReadonlyMap<string, SlotSize>,
  ) {}

  tensor(spec: TensorSpec): Tensor {
    const { turn } = spec;
    if (!turn) return this.allocator.tensor(spec);
    const { buffer } = this.#slot(turn.slot);
    const made = layOut(spec, () => buffer);
    return { ...made, byteOffset: this.#ends.place(turn, made.byteLength) };
  }

  texture(spec: TextureSpec): TextureTensor {
    return this.allocator.texture(spec);
  }

  #slot(slot: string): Tensor {
    let made = this.#slots.get(slot);
    if (!made) {
      const { bytes, purpose } = this.sizes.get(slot)!, name = `slots.${slot}`;
      made = this.allocator.tensor({ name, shape: [bytes / 4], dtype: "float32", purpose });
      this.#slots.set(slot, made);
    }
    return made;
  }
}
