/** Finding and describing the WebGPU adapter. */

/** An adapter as its driver describes it; any of the strings may be empty. */
export interface AdapterDescription {
  /** On most systems a PCI vendor id, in decimal. */
  readonly vendor: string;
  /** A family of cards. */
  readonly architecture: string;
  /** A PCI device id or a name. */
  readonly device: string;
  /** The marketing name. */
  readonly description: string;
  /** True where the "GPU" is the processor (Mesa's llvmpipe, SwiftShader): correct, but slow. */
  readonly software: boolean;
  /** As the adapter lists them, whether or not any kernel can use them. */
  readonly features: readonly string[];
}

/** Display name of an adapter: a driver may report a description, a device, or neither. */
export function adapterName(
  { description, device }: Pick<AdapterDescription, "description" | "device">,
): string {
  return description || device || "unnamed";
}

/**
 * Every native backend except OpenGL. Its adapters lack features that the kernels need, one hides
 * that the Vulkan driver is missing, and probing for them loads libEGL, which crashes some
 * processes on exit (a double free in its destructor).
 */
const BACKENDS = "vulkan,metal,dx12";
const BACKENDS_VARIABLE = "DENO_WEBGPU_BACKEND";

/** The fastest adapter, or null. Needs --allow-env for the choice of backends to take effect. */
export async function findAdapter(): Promise<GPUAdapter | null> {
  const { state } = await Deno.permissions.query({ name: "env", variable: BACKENDS_VARIABLE });
  if (state === "granted" && !Deno.env.has(BACKENDS_VARIABLE)) {
    Deno.env.set(BACKENDS_VARIABLE, BACKENDS);
  }
  return await navigator.gpu?.requestAdapter({ powerPreference: "high-performance" }) ?? null;
}

/** What the driver reports about an adapter. */
export function describeAdapter(adapter: GPUAdapter): AdapterDescription {
  const { vendor, architecture, device, description } = adapter.info;
  return {
    vendor,
    architecture,
    device,
    description,
    software: /llvmpipe|lavapipe|swiftshader|basic render/i.test(`${device} ${description}`),
    features: [...adapter.features].sort(),
  };
}
