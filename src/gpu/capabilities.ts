/** What an adapter can do: found once, when the device is opened, and read from there ever after. */
import { PRODUCT } from "../product.ts";
import { describeAdapter } from "./adapter.ts";

/** An optional feature of an adapter that something here can use; nothing needs one. */
export type Feature = "timestamp-query" | "shader-f16" | "subgroups";

const FEATURES: readonly Feature[] = ["timestamp-query", "shader-f16", "subgroups"];
/** Those that Deno grants although its adapters do not list them. */
const UNLISTED: readonly Feature[] = ["subgroups"];

/** The limits that are asked for, as WebGPU names them; every other stays at its default. */
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
 * What an adapter can do. Plain data: memory plans are made from it without a device, and it
 * travels between processes as JSON. Timings of kernels on the adapter would have their place here.
 */
export interface Capabilities {
  /** The "GPU" is the processor (Mesa's llvmpipe, SwiftShader): right, but slow. */
  readonly software: boolean;
  /** What the device was opened with: all that the adapter allows. */
  readonly limits: Limits;
  /** As granted. */
  readonly features: readonly Feature[];
  /** Threads of a subgroup, at least and at most; null without the feature. */
  readonly subgroupSize: readonly [least: number, most: number] | null;
}

/** A consumer card that is not here: what a plan assumes where no adapter is. */
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

/** Opens the adapter's device with all that it allows of what is wanted. */
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
  // A device is refused as a whole, and nobody says for which of the features.
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
