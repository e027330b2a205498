/** Reads the values of a GGUF header from the first bytes of a file. */

/** The header goes on beyond the bytes at hand. */
export class HeaderTooShort extends Error {}

/** A value that cannot be right. */
export class HeaderFault extends Error {}

/** Types of metadata in the file, by id; `list` and `string` are read apart. */
const STRING = 8, LIST = 9;
const SCALARS: Readonly<
  Record<number, [bytes: number, read: (v: DataView, at: number) => Scalar]>
> = {
  0: [1, (view, at) => view.getUint8(at)],
  1: [1, (view, at) => view.getInt8(at)],
  2: [2, (view, at) => view.getUint16(at, true)],
  3: [2, (view, at) => view.getInt16(at, true)],
  4: [4, (view, at) => view.getUint32(at, true)],
  5: [4, (view, at) => view.getInt32(at, true)],
  6: [4, (view, at) => view.getFloat32(at, true)],
  7: [1, (view, at) => view.getUint8(at) !== 0],
  10: [8, (view, at) => view.getBigUint64(at, true)],
  11: [8, (view, at) => view.getBigInt64(at, true)],
  12: [8, (view, at) => view.getFloat64(at, true)],
};

type Scalar = number | bigint | boolean;
export type HeaderValue = Scalar | string | HeaderValue[];

/** A token may be a byte order mark. */
const UTF8 = new TextDecoder("utf-8", { ignoreBOM: true });

/** A position in the header; every method reads a value and moves on. */
export class HeaderReader {
  /** Bytes read. */
  at = 0;
  readonly #view: DataView;

  /**
   * `bytes` are the first of a file of `fileSize`. Sizes take 32 bits in `narrow` files, those of
   * version 1, and 64 in all others.
   */
  constructor(
    private readonly bytes: Uint8Array,
    private readonly fileSize: number,
    public narrow = false,
  ) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  uint32(): number {
    return this.#view.getUint32(this.#take(4), true);
  }

  /** A number of things of at least `each` bytes, which the file must have room for. */
  size(each: number): number {
    const value = this.narrow ? this.uint32() : this.uint64();
    const room = Math.floor((this.fileSize - this.at) / Math.max(1, each));
    if (value > room) throw new HeaderFault(`${value} at byte ${this.at} exceeds the file`);
    return value;
  }

  /** An integer of up to 53 bits: a dimension or an offset. */
  uint64(): number {
    const value = this.#view.getBigUint64(this.#take(8), true);
    if (value <= BigInt(Number.MAX_SAFE_INTEGER)) return Number(value);
    throw new HeaderFault(`${value} at byte ${this.at} exceeds the file`);
  }

  /** A side of a tensor. */
  dimension(): number {
    return this.narrow ? this.uint32() : this.uint64();
  }

  string(): string {
    const length = this.size(1), start = this.#take(length);
    return UTF8.decode(this.bytes.subarray(start, start + length));
  }

  /** A value and its type before it. */
  typed(): HeaderValue {
    return this.#value(this.uint32());
  }

  #value(type: number): HeaderValue {
    if (type === STRING) return this.string();
    if (type === LIST) return this.#list();
    const [bytes, read] = scalarOf(type);
    return read(this.#view, this.#take(bytes));
  }

  #list(): HeaderValue[] {
    const type = this.uint32();
    const each = type === STRING || type === LIST ? this.narrow ? 4 : 8 : scalarOf(type)[0];
    const count = this.size(each), values: HeaderValue[] = [];
    for (let i = 0; i < count; i++) values.push(this.#value(type));
    return values;
  }

  /** The start of the next bytes, which are thereby read. */
  #take(count: number): number {
    const start = this.at;
    if (start + count > this.bytes.length) throw new HeaderTooShort();
    this.at += count;
    return start;
  }
}

function scalarOf(type: number) {
  const scalar = SCALARS[type];
  if (scalar) return scalar;
  throw new HeaderFault(`metadata of type ${type} (0 to 12 are known)`);
}
