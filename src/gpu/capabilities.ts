/** What an adapter can do: determined once, when the device is opened. */
import { PRODUCT } from "../product.ts";
import { describeAdapter } from "./adapter.ts";

/** An optional adapter feature that some kernel can use; none is required. */
export type Feature = "timestamp-query" | "shader-f16" | "subgroups";

const FEATURES: readonly Feature[] = ["timestamp-query", "shader-f16", "subgroups"];
/** Features that Deno grants although its adapters do not list them. */
const UNLISTED: readonly Feature[] = ["subgroups"];

/** The limits that are requested, under WebGPU's names; all others keep their defaults. */
export type Limits = Readonly<
  Record<
    | "maxBufferSize"
    | "maxStorageBufferBindingSize"
    | "maxStorageBuffersPerShaderStage"
    | "maxStorageTexturesPerShaderStage"
    | "maxComputeWorkgroupStorageSize"
    | "maxComputeInvocationsPerWorkgroup"
    | "maxComputeWorkgroupSizeX"
    | "maxComputeWorkgroupSizeY"
    | "maxComputeWorkgroupSizeZ"
    | "maxComputeWorkgroupsPerDimension"
    | "maxTextureDimension2D"
    | "minStorageBufferOffsetAlignment"
    | "minUniformBufferOffsetAlignment",
    number
  >
>;

/**
 * What an adapter can do. Plain data, so that memory can be planned without a device, and that
 * processes can exchange it as JSON.
 */
export interface Capabilities {
  /** The "GPU" is the processor (Mesa's llvmpipe, SwiftShader): correct, but slow. */
  readonly software: boolean;
  /** Limits of the device: the adapter's maxima. */
  readonly limits: Limits;
  /** Features granted to the device. */
  readonly features: readonly Feature[];
  /** Minimum and maximum threads per subgroup; null without the feature. */
  readonly subgroupSize: readonly [least: number, most: number] | null;
  /** Parts of kernels' strategy, whatever the adapter suggests: see kernels/strategy.ts. For tests. */
  readonly forced?: Readonly<Record<string, string | number | boolean>>;
  /** The fastest variants of kernels, where they were timed. */
  readonly timed?: {
    /** Of matrix products, by shape: see kernels/matmul/matmul_tuning.ts. */
    readonly tiles: Readonly<Record<string, string>>;
  };
}

/** A typical consumer card, which a plan assumes where there is no adapter. */
export const CONSUMER_CARD: Capabilities = {
  software: false,
  limits: {
    maxBufferSize: 2 ** 32,
    maxStorageBufferBindingSize: 2 ** 31,
    maxStorageBuffersPerShaderStage: 8,
    maxStorageTexturesPerShaderStage: 4,
    maxComputeWorkgroupStorageSize: 16_384,
    maxComputeInvocationsPerWorkgroup: 256,
    maxComputeWorkgroupSizeX: 256,
    maxComputeWorkgroupSizeY: 256,
    maxComputeWorkgroupSizeZ: 64,
    maxComputeWorkgroupsPerDimension: 65_535,
    maxTextureDimension2D: 8192,
    minStorageBufferOffsetAlignment: 256,
    minUniformBufferOffsetAlignment: 256,
  },
  features: [],
  subgroupSize: null,
};

/** Opens the adapter's device with every limit and feature of interest that it allows. */
export async function openDevice(
  adapter: GPUAdapter,
): Promise<{ device: GPUDevice; capabilities: Capabilities }> {
  const names = Object.keys(CONSUMER_CARD.limits) as (keyof Limits)[];
  const limits = Object.fromEntries(names.map((name) => [name, adapter.limits[name]]));
  const listed = FEATURES.filter((name) => adapter.features.has(name));
  const request = (requiredFeatures: readonly Feature[]) =>
    adapter.requestDevice({
      label: PRODUCT,
      requiredFeatures: [...requiredFeatures],
      requiredLimits: limits,
    });
  // A device is refused as a whole, without saying which feature was the reason.
  const device = await request([...new Set([...listed, ...UNLISTED])]).catch(() => request(listed));
  const features = FEATURES.filter((name) => device.features.has(name));
  const { subgroupMinSize, subgroupMaxSize } = adapter.info;
  return {
    device,
    capabilities: {
      software: describeAdapter(adapter).software,
      limits: limits as unknown as Limits,
      features,
      subgroupSize: features.includes("subgroups") ? [subgroupMinSize, subgroupMaxSize] : null,
    },
  };
}
