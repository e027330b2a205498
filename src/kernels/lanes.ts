/**
 * Kernels in which several threads, "lanes", share a row, a group or a block; see
 * shaders/lib/lanes.wgsl.
 */
import type { Gpu } from "../gpu/gpu.ts";
import type { Kernel, KernelOptions } from "../gpu/kernel.ts";
import type { KernelPass } from "../gpu/pass.ts";
import type { ActivationType } from "./format.ts";
import { shader } from "./shader.ts";
import { strategyFor, valuesOf } from "./strategy.ts";

/** A kernel whose lanes exchange values in workgroup memory, and one that also uses subgroups. */
export interface KernelByLanes {
  readonly shared: Kernel;
  readonly subgroup: Kernel;
}

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
}

/** Both variants of a WGSL source that uses the library `lanes`. */
export function kernelByLanes(
  name: string,
  source: string,
  { held, ...options }: LanesOptions = {},
): KernelByLanes {
  const variant = (suffix: string, library: string, constants: KernelOptions["constants"]) =>
    shader(`${name}${suffix}`, source, {
      variants: [...options.variants ?? [], library],
      constants: {
        ...options.constants,
        ...(held && { HELD: held }),
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
 * code to compile. Groups: none, or all of 64, 128 or 256 elements; see {@link blocksBy}.
 */
export const HELD = {
  octets: [0, 4],
  blocks: [0, 2],
  groups: [0, 1, 2, 4],
  moments: [0, 1],
  loop: [1, 4],
};

/** The values that a kernel's constant HELD may have, if it declares it. */
function heldValues({ constants }: Kernel): readonly number[] | undefined {
  return constants.find(({ name }) => name === "HELD")?.values;
}

/** The value of HELD for an adapter, if the kernel declares it. */
export function heldBy({ capabilities }: Gpu, kernel: Kernel): { HELD?: number } {
  const values = heldValues(kernel);
  return values ? { HELD: strategyFor(capabilities).holds ? values.at(-1)! : values[0] } : {};
}

/** A kernel, its constants, and how many rows or blocks a workgroup takes. */
interface Shared {
  readonly kernel: Kernel;
  readonly constants: Record<string, number>;
  readonly rowsPerGroup: number;
}

/** The kernel for rows that this number of lanes share. */
export function sharedBy(pass: KernelPass, kernels: KernelByLanes, lanes: number): Shared {
  const { rowWorkgroup } = strategyFor(pass.gpu.capabilities);
  return shared(pass, kernels, lanes, rowWorkgroup, heldBy(pass.gpu, kernels.shared));
}

/**
 * The kernel for blocks of this number of octets, whose lanes keep all of a block in registers if its
 * HELD may have that value; others read a block again for each pass over it. `loads` as in
 * {@link lanesFor}.
 */
export function blocksBy(
  pass: KernelPass,
  kernels: KernelByLanes,
  octets: number,
  loads: number,
): Shared {
  const { gpu } = pass, { blockLanes, rowWorkgroup } = strategyFor(gpu.capabilities);
  const holds = (lanes: number) => heldValues(kernels.shared)?.includes(octets / lanes) ?? false;
  const least = nearIn(gpu) >= blockLanes && holds(blockLanes) ? blockLanes : 1;
  const lanes = Math.max(least, lanesFor(gpu, loads, 2 * octets));
  const held = { HELD: holds(lanes) ? octets / lanes : 0 };
  return shared(pass, kernels, lanes, rowWorkgroup * least, held);
}

function shared(
  { gpu }: KernelPass,
  kernels: KernelByLanes,
  lanes: number,
  threads: number,
  held: { HELD?: number },
): Shared {
  const near = nearIn(gpu), size = Math.max(lanes, threads), rowsPerGroup = size / lanes;
  const constants: Record<string, number> = { LANES: lanes, WORKGROUP_SIZE: size, ...held };
  if (lanes === 1 || near === 1) return { kernel: kernels.shared, constants, rowsPerGroup };
  return { kernel: kernels.subgroup, constants: { ...constants, NEAR: near }, rowsPerGroup };
}

/** The adapter's smallest subgroup; 1 if it grants none, or one too small to be worth a kernel. */
export function nearIn({ capabilities: { subgroupSize } }: Gpu): number {
  return SUBGROUP_SIZES.find((size) => size === subgroupSize?.[0]) ?? 1;
}

/**
 * Lanes for a row, group or block of this number of loads, which takes one thread `rounds` loop
 * iterations: enough to have all loads of a short row under way at once on a card, and for no
 * thread to exceed the adapter's limit of iterations.
 */
export function lanesFor(
  { capabilities }: Pick<Gpu, "capabilities">,
  loads: number,
  rounds: number,
): number {
  const { loadsPerLane, loopRounds } = strategyFor(capabilities);
  const most = Math.min(LANES.at(-1)!, capabilities.limits.maxComputeInvocationsPerWorkgroup);
  let lanes = 1;
  while (lanes < most && loads / lanes > loadsPerLane) lanes *= 2;
  while (rounds / lanes > loopRounds) lanes *= 2;
  return lanes;
}
