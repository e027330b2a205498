/** All tokens of a data set in three flat arrays: five bytes per token, eight per example. */

/** An encoded example. */
export interface StoredExample {
  /** Its tokens. */
  readonly ids: Uint32Array<ArrayBuffer>;
  /** 1 for each token to train on. */
  readonly trained: Uint8Array<ArrayBuffer>;
}

/** The encoded examples of a data set. */
export class ExampleStore {
  #ids = new Uint32Array(1 << 16);
  #trained = new Uint8Array(1 << 16);
  readonly #ends: number[] = [];

  /** Number of examples. */
  get count(): number {
    return this.#ends.length;
  }

  /** Tokens of all examples. */
  get tokens(): number {
    return this.#ends.at(-1) ?? 0;
  }

  /** Appends an example; `trained` has a one for each token that is learned. */
  add(ids: readonly number[], trained: Uint8Array): void {
    const start = this.tokens, end = start + ids.length;
    if (end > this.#ids.length) this.#grow(Math.max(end, this.#ids.length * 2));
    this.#ids.set(ids, start);
    this.#trained.set(trained, start);
    this.#ends.push(end);
  }

  /** Tokens of the example at `index`. */
  length(index: number): number {
    return this.#ends[index] - this.#start(index);
  }

  /** Returns views, not copies. */
  at(index: number): StoredExample {
    const [start, end] = [this.#start(index), this.#ends[index]];
    return { ids: this.#ids.subarray(start, end), trained: this.#trained.subarray(start, end) };
  }

  /** A 32-bit hash of every token, of whether it is trained on, and of where examples end. */
  hash(): number {
    let hash = 0x811c9dc5;
    const add = (value: number) => hash = Math.imul(hash ^ value, 0x01000193);
    for (let i = 0; i < this.tokens; i++) add(this.#ids[i] * 2 + this.#trained[i]);
    for (const end of this.#ends) add(end);
    return hash >>> 0;
  }

  #start(index: number): number {
    return index === 0 ? 0 : this.#ends[index - 1];
  }

  #grow(capacity: number): void {
    const ids = new Uint32Array(capacity), trained = new Uint8Array(capacity);
    ids.set(this.#ids);
    trained.set(this.#trained);
    [this.#ids, this.#trained] = [ids, trained];
  }
}
