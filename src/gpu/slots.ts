/**
 * Memory that tensors take in turn. A slot is one buffer; what it holds in one phase is dead in its
 * others, so it is as large as the largest phase needs. That is known once everything is allocated:
 * what allocates runs twice, first to measure. A plan is that measure, and its slots come last.
 *
 * A phase's tensors lie side by side in the one buffer, so no dispatch may write one of them and read
 * another: WebGPU tracks whole buffers. Between them nothing is written: in a slot of one phase these
 * bytes stay zero, as all of it begins.
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

/** Of every adapter's offsets of bindings, and of the tensors of a phase. */
export const ALIGNMENT = 256;

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
  const sizes = new Map<string, SlotSize>(), isPlan = allocator instanceof PlanAllocator;
  const planned = build(new Measuring(isPlan ? allocator : new PlanAllocator(), sizes));
  if (!isPlan) return build(new Slots(allocator, sizes));
  for (const [slot, size] of sizes) allocator.tensor(specOf(slot, size));
  return planned;
}

function specOf(slot: string, { bytes, purpose }: SlotSize): TensorSpec {
  return { name: `slots.${slot}`, shape: [bytes / 4], dtype: "float32", purpose };
}

class Measuring implements Allocator {
  readonly #ends = new Ends();

  constructor(
    private readonly plan: PlanAllocator,
    private readonly sizes: Map<string, SlotSize>,
  ) {}

  tensor(spec: TensorSpec): Tensor {
    const { turn, purpose } = spec;
    if (!turn) return this.plan.tensor(spec);
    const made = layOut(spec, () => null);
    const byteOffset = this.#ends.place(turn, made.byteLength);
    const bytes = Math.ceil((byteOffset + made.byteLength) / ALIGNMENT) * ALIGNMENT;
    if (bytes > (this.sizes.get(turn.slot)?.bytes ?? 0)) {
      this.sizes.set(turn.slot, { bytes, purpose });
    }
    return { ...made, byteOffset };
  }

  texture(spec: TextureSpec): TextureTensor {
    return this.plan.texture(spec);
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
      made = this.allocator.tensor(specOf(slot, this.sizes.get(slot)!));
      this.#slots.set(slot, made);
    }
    return made;
  }
}
