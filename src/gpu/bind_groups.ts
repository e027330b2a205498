/** Bind groups of a device, made once for the same operands and dropped with them. */

/** What a binding refers to: a buffer's range, or a texture. */
export interface BoundResource {
  /** The buffer or texture. */
  readonly object: object;
  /** In bytes, of a buffer. */
  readonly offset?: number;
  /** In bytes, of a buffer. */
  readonly size?: number;
}

/** Without {@link forget} a device that trains run after run would keep the groups of them all. */
export class BindGroupCache {
  readonly #ids = new WeakMap<object, number>();
  readonly #groups = new Map<string, GPUBindGroup>();
  readonly #keysOf = new WeakMap<object, Set<string>>();
  #nextId = 0;

  /** Groups kept now. */
  get size(): number {
    return this.#groups.size;
  }

  /** The group of these resources, in the order of their bindings. */
  get(
    layout: GPUBindGroupLayout,
    resources: readonly BoundResource[],
    make: () => GPUBindGroup,
  ): GPUBindGroup {
    let key = `${this.#id(layout)}`;
    for (const { object, offset, size } of resources) {
      key += `|${this.#id(object)},${offset},${size}`;
    }
    let group = this.#groups.get(key);
    if (!group) {
      this.#groups.set(key, group = make());
      for (const { object } of resources) {
        const keys = this.#keysOf.get(object);
        if (keys) keys.add(key);
        else this.#keysOf.set(object, new Set([key]));
      }
    }
    return group;
  }

  /** Drops the groups of a buffer or texture that is destroyed. */
  forget(object: object): void {
    for (const key of this.#keysOf.get(object) ?? []) this.#groups.delete(key);
    this.#keysOf.delete(object);
  }

  #id(object: object): number {
    let id = this.#ids.get(object);
    if (id === undefined) this.#ids.set(object, id = this.#nextId++);
    return id;
  }
}
