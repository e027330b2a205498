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

/** A group, and what it binds. */
interface Entry {
  readonly layout: GPUBindGroupLayout;
  readonly resources: readonly BoundResource[];
  readonly group: GPUBindGroup;
}

/**
 * Without {@link forget} a device that trains run after run would keep the groups of them all.
 *
 * A step looks up hundreds: groups are found by a number made of their resources, and compared, which
 * takes a fraction of the time of making a text of them.
 */
export class BindGroupCache {
  readonly #ids = new WeakMap<object, number>();
  readonly #entries = new Map<number, Entry[]>();
  readonly #entriesOf = new WeakMap<object, Map<Entry, number>>();
  #nextId = 1;
  #size = 0;

  /** Groups kept now. */
  get size(): number {
    return this.#size;
  }

  /** The group of these resources, in the order of their bindings. */
  get(
    layout: GPUBindGroupLayout,
    resources: readonly BoundResource[],
    make: () => GPUBindGroup,
  ): GPUBindGroup {
    const hash = this.#hash(layout, resources);
    let entries = this.#entries.get(hash);
    const found = entries?.find((entry) => entry.layout === layout && same(entry, resources));
    if (found) return found.group;
    const entry = { layout, resources, group: make() };
    if (entries) entries.push(entry);
    else this.#entries.set(hash, entries = [entry]);
    this.#size++;
    for (const { object } of resources) {
      const kept = this.#entriesOf.get(object);
      if (kept) kept.set(entry, hash);
      else this.#entriesOf.set(object, new Map([[entry, hash]]));
    }
    return entry.group;
  }

  /** Drops the groups of a buffer or texture that is destroyed. */
  forget(object: object): void {
    for (const [entry, hash] of this.#entriesOf.get(object) ?? []) {
      const entries = this.#entries.get(hash) ?? [], at = entries.indexOf(entry);
      if (at < 0) continue; // with another of its resources
      entries.splice(at, 1);
      if (!entries.length) this.#entries.delete(hash);
      this.#size--;
    }
    this.#entriesOf.delete(object);
  }

  #hash(layout: GPUBindGroupLayout, resources: readonly BoundResource[]): number {
    let hash = this.#id(layout);
    for (const { object, offset = 0, size = 0 } of resources) {
      hash = Math.imul(hash, 31) + this.#id(object);
      hash = Math.imul(hash, 31) + offset;
      hash = (Math.imul(hash, 31) + size) | 0;
    }
    return hash;
  }

  #id(object: object): number {
    let id = this.#ids.get(object);
    if (id === undefined) this.#ids.set(object, id = this.#nextId++);
    return id;
  }
}

function same({ resources: kept }: Entry, resources: readonly BoundResource[]): boolean {
  for (let i = 0; i < resources.length; i++) {
    const a = kept[i], b = resources[i];
    if (a.object !== b.object || a.offset !== b.offset || a.size !== b.size) return false;
  }
  return kept.length === resources.length;
}
