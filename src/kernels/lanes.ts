/**
 * Kernels in which several threads, "lanes", share a row, a group or a block; see
 * shaders/lib/lanes.wgsl.
 */
import type { Gpu } from "../gpu/gpu.ts";
import type { Kernel, KernelOptions } from "../gpu/kernel.ts";
import type { ActivationType } from "./format.ts";
import { FLAG, shader } from "./shader.ts";
import { STRATEGIES, strategyFor, valuesOf } from "./strategy.ts";

/** A kernel whose lanes exchange values in workgroup memory, and one that also uses subgroups. */
export interface KernelByLanes {
  readonly shared: Kernel;
  readonly subgroup: Kernel;
}

type Device = Pick<Gpu, "capabilities">;

const LANES = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024];
const WORKGROUP_SIZES = [8, 16, 32, 64, 128, 256, 512, 1024];
const SUBGROUP_SIZES = [4, 8, 16, 32, 64, 128];

/** Geometry of kernels whose lanes share columns: see shaders/lib/column_lanes.wgsl. */
export const COLUMN_LANES = {
  WORKGROUP_SIZE: valuesOf("columnWorkgroup"),
  LANES: valuesOf("columnLanes"),
};

/** A kernel's options, and the values of its constant HELD. */
export interface LanesOptions extends Omit<KernelOptions, "libraries"> {
  readonly held?: readonly number[];
  /** The same where lanes may hold a whole block: of a source that uses the library `lanes_held`. */
  readonly heldOfBlock?: readonly number[];
}

/** Both variants of a WGSL source that uses the library `lanes`. */
export function kernelByLanes(
  name: string,
  source: string,
  { held, heldOfBlock, ...options }: LanesOptions = {},
): KernelByLanes {
  const variant = (suffix: string, library: string, constants: KernelOptions["constants"]) =>
    shader(`${name}${suffix}`, source, {
      variants: [...options.variants ?? [], library],
      constants: {
        ...options.constants,
        ...(held && { HELD: held }),
        ...(heldOfBlock && { HELD: heldOfBlock, WHOLE: FLAG }),
        LANES,
        WORKGROUP_SIZE: WORKGROUP_SIZES,
        ...constants,
      },
    });
  return {
    shared: variant("", "lanes_shared", {}),
    subgroup: variant(".subgroups", "lanes_subgroup", { NEAR: SUBGROUP_SIZES }),
  };
}

/** The same for a source in either format of activations. */
export function kernelByFormatAndLanes(
  name: string,
  source: string,
  options: LanesOptions = {},
): Record<ActivationType, KernelByLanes> {
  const variant = (format: ActivationType) =>
    kernelByLanes(`${name}.${format}`, source, {
      ...options,
      variants: [format, ...options.variants ?? []],
    });
  return { float32: variant("float32"), bfloat16: variant("bfloat16") };
}

/**
 * Values of the constant HELD, the loads that a thread has under way at once, or keeps in registers:
 * many on a card; on a processor, where they are not faster, as few as possible, for a third of the
 * code to compile. Kernels that read a block once if they hold it have those of {@link heldOf}.
 */
export const HELD = {
  octets: [0, 4],
  blocks: [0, 2],
  moments: [0, 1],
  loop: [1, 4],
  /** Of rows: up to four by lanes of a card, as many as it takes by eight of a processor. */
  rows: [0, 2, 4, 8, 12, 16, 24, 32, 64],
};

/** A block that lanes may hold between them; see shaders/lib/lanes_held.wgsl. */
export interface HeldBlock {
  readonly octets: number;
  /** Loads that each of them takes. */
  readonly loads: number;
}

/** The values of HELD for kernels of these blocks: what a lane holds by each strategy, or nothing. */
export function heldOf(...blocks: readonly HeldBlock[]): number[] {
  const held = blocks.flatMap(({ octets, loads }) =>
    Object.values(STRATEGIES).map(({ blockLanes, loadsPerLane }) =>
      Math.ceil(octets / Math.max(blockLanes, lanesTo(loadsPerLane, octets * loads)))
    )
  );
  return [...new Set([0, ...held])].sort((a, b) => a - b);
}

/** The values that a kernel's constant may have, if it declares it. */
function valuesIn({ constants }: Kernel, constant: string): readonly number[] | undefined {
  return constants.find(({ name }) => name === constant)?.values;
}

/** The value of HELD for an adapter, if the kernel declares it. */
export function heldBy({ capabilities }: Device, kernel: Kernel): { HELD?: number } {
  const values = valuesIn(kernel, "HELD");
  return values ? { HELD: strategyFor(capabilities).holds ? values.at(-1)! : values[0] } : {};
}

/** The same, with WHOLE, for lanes that share a block: the least value with which they hold it all. */
function heldIn(
  gpu: Device,
  kernel: Kernel,
  lanes: number,
  octets: number,
): { HELD?: number; WHOLE?: number } {
  const enough = valuesIn(kernel, "HELD")?.find((value) => value * lanes >= octets);
  const held = enough === undefined ? heldBy(gpu, kernel) : { HELD: enough };
  return valuesIn(kernel, "WHOLE") ? { ...held, WHOLE: enough === undefined ? 0 : 1 } : held;
}

/** A kernel, its constants, and how many rows or blocks a workgroup takes. */
interface Shared {
  readonly kernel: Kernel;
  readonly constants: Record<string, number>;
  readonly rowsPerGroup: number;
}

/**
 * The kernel for rows that this number of lanes share. `octets`: of a row, or of a block of one, that
 * they may hold between them.
 */
export function sharedBy(
  { gpu }: { readonly gpu: Device },
  kernels: KernelByLanes,
  lanes: number,
  octets = Infinity,
): Shared {
  const { rowWorkgroup: threads } = strategyFor(gpu.capabilities);
  return shared(gpu, kernels, { lanes, threads, ...heldIn(gpu, kernels.shared, lanes, octets) });
}

/**
 * The kernel for blocks: by as many lanes as hold one, where these may exchange registers; others are
 * read again for each pass over them.
 */
export function blocksBy(
  { gpu }: { readonly gpu: Device },
  kernels: KernelByLanes,
  { octets, loads }: HeldBlock,
): Shared {
  const { rowWorkgroup } = strategyFor(gpu.capabilities), least = holders(gpu, kernels, octets);
  const lanes = Math.max(least, lanesFor(gpu, octets * loads, 2 * octets));
  const held = heldIn(gpu, kernels.shared, lanes, octets);
  return shared(gpu, kernels, { lanes, threads: rowWorkgroup * least, ...held });
}

/** The same for rows, which are longer: a workgroup needs fewer. */
export function rowsBy(
  { gpu }: { readonly gpu: Device },
  kernels: KernelByLanes,
  { octets, loads }: HeldBlock,
): Shared {
  const lanes = Math.max(
    holders(gpu, kernels, octets),
    lanesFor(gpu, octets * loads, 2 * octets),
  );
  return rowsOf(gpu, kernels, lanes, octets);
}

/** The same by lanes that hold a row and are of one subgroup, or by single threads. */
export function rowsBySubgroup(
  { gpu }: { readonly gpu: Device },
  kernels: KernelByLanes,
  octets: number,
): Shared {
  return rowsOf(gpu, kernels, holders(gpu, kernels, octets), octets);
}

function rowsOf(gpu: Device, kernels: KernelByLanes, lanes: number, octets: number): Shared {
  const { blockLanes, rowWorkgroup: threads } = strategyFor(gpu.capabilities);
  // A single thread of a processor would hold more than it has registers for.
  const held = heldIn(gpu, kernels.shared, lanes, lanes < blockLanes ? Infinity : octets);
  return shared(gpu, kernels, { lanes, threads, ...held });
}

/** The lanes of the strategy if they hold a block of this many octets between them, or one. */
function holders(gpu: Device, kernels: KernelByLanes, octets: number): number {
  const { blockLanes } = strategyFor(gpu.capabilities);
  const fits = nearIn(gpu) >= blockLanes && octets >= blockLanes &&
    heldIn(gpu, kernels.shared, blockLanes, octets).WHOLE;
  return fits ? blockLanes : 1;
}

function shared(
  gpu: Device,
  kernels: KernelByLanes,
  { lanes, threads, ...held }: {
    readonly lanes: number;
    /** Of a workgroup, at least. */
    readonly threads: number;
    readonly HELD?: number;
    readonly WHOLE?: number;
  },
): Shared {
  const near = nearIn(gpu), size = Math.max(lanes, threads), rowsPerGroup = size / lanes;
  const constants: Record<string, number> = { LANES: lanes, WORKGROUP_SIZE: size, ...held };
  if (lanes === 1 || near === 1) return { kernel: kernels.shared, constants, rowsPerGroup };
  return { kernel: kernels.subgroup, constants: { ...constants, NEAR: near }, rowsPerGroup };
}

/** The adapter's smallest subgroup; 1 if it grants none, or one too small to be worth a kernel. */
export function nearIn({ capabilities: { subgroupSize } }: Device): number {
  return SUBGROUP_SIZES.find((size) => size === subgroupSize?.[0]) ?? 1;
}

/**
 * Lanes for a row, group or block of this number of loads, which takes one thread `rounds` loop
 * iterations: enough to have all loads of a short row under way at once on a card, and for no
 * thread to exceed the adapter's limit of iterations.
 */
export function lanesFor(
  { capabilities }: Device,
  loads: number,
  rounds: number,
): number {
  const { loadsPerLane, loopRounds } = strategyFor(capabilities);
  const most = Math.min(LANES.at(-1)!, capabilities.limits.maxComputeInvocationsPerWorkgroup);
  let lanes = lanesTo(loadsPerLane, loads, most);
  while (rounds / lanes > loopRounds) lanes *= 2;
  return lanes;
}

/** As many lanes, a power of two, as leave each this number of loads. */
function lanesTo(loadsPerLane: number, loads: number, most = Infinity): number {
  let lanes = 1;
  while (lanes < most && loads / lanes > loadsPerLane) lanes *= 2;
  return lanes;
}
