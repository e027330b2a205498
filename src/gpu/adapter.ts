/** The adapter: what WebGPU found to compute on. */

/** An adapter in its driver's words; any of them may be empty. */
export interface AdapterDescription {
  /** A PCI vendor id, as a decimal number, on most systems. */
  readonly vendor: string;
  /** A family of cards. */
  readonly architecture: string;
  /** A PCI device id, or a name. */
  readonly device: string;
  /** The name that people know. */
  readonly description: string;
  /** True where the "GPU" is the processor (Mesa's llvmpipe, SwiftShader): right, but slow. */
  readonly software: boolean;
  /** As listed, whether or not anything here can use them. */
  readonly features: readonly string[];
}

/** What to call an adapter: its driver may know one name, the other or none. */
export function adapterName(
  { description, device }: Pick<AdapterDescription, "description" | "device">,
): string {
  return description || device || "unnamed";
}

/**
 * Every native interface but OpenGL. Its adapters lack what the kernels need, one hides that the
 * Vulkan driver is missing, and probing for them loads libEGL, which crashes some processes as they
 * exit (a double free in its destructor).
 */
const BACKENDS = "vulkan,metal,dx12";
const BACKENDS_VARIABLE = "DENO_WEBGPU_BACKEND";

/** The fastest adapter, or null. Needs --allow-env for the choice of interfaces to take effect. */
export async function findAdapter(): Promise<GPUAdapter | null> {
  const { state } = await Deno.permissions.query({ name: "env", variable: BACKENDS_VARIABLE });
  if (state === "granted" && !Deno.env.has(BACKENDS_VARIABLE)) {
    Deno.env.set(BACKENDS_VARIABLE, BACKENDS);
  }
  return await navigator.gpu?.requestAdapter({ powerPreference: "high-performance" }) ?? null;
}

/** What the driver says of an adapter. */
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
