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

/**
 * A folder of sockets. Mesa looks there for a Wayland display, and where the variable is not set,
 * as in containers and over SSH, libwayland complains on stderr. Any absolute path silences it; no
 * program listens in one that does not exist.
 */
const SOCKETS = "/nonexistent";
const SOCKETS_VARIABLE = "XDG_RUNTIME_DIR";

/**
 * The fastest adapter, or null. Deno's choice of backends, and silence about a missing display,
 * need the permission for the environment variables DENO_WEBGPU_BACKEND and XDG_RUNTIME_DIR. `gpu`
 * is another implementation of WebGPU, such as that of npm's `webgpu`.
 */
export async function findAdapter(gpu?: GPU): Promise<GPUAdapter | null> {
  // No `using`: not every browser and Node knows it.
  const unset = [
    withVariable(BACKENDS_VARIABLE, BACKENDS),
    withVariable(SOCKETS_VARIABLE, SOCKETS, "linux"),
  ];
  try {
    const from = gpu ?? globalThis.navigator?.gpu;
    return await from?.requestAdapter({ powerPreference: "high-performance" }) ?? null;
  } finally {
    for (const undo of unset) undo?.();
  }
}

/**
 * Sets an environment variable of Deno that is not set, and returns what unsets it again. The one use
 * of Deno in the modules that a kernel needs: browsers and others run them, too.
 */
function withVariable(variable: string, value: string, os?: string): (() => void) | undefined {
  if (!("Deno" in globalThis) || (os && Deno.build.os !== os)) return undefined;
  const { state } = Deno.permissions.querySync({ name: "env", variable });
  if (state !== "granted" || Deno.env.has(variable)) return undefined;
  Deno.env.set(variable, value);
  return () => Deno.env.delete(variable);
}

/** What the driver reports about an adapter. */
export function describeAdapter(adapter: GPUAdapter): AdapterDescription {
  const { vendor, architecture, device, description } = adapter.info;
  return {
    vendor,
    architecture,
    device,
    description,
    software: /llvmpipe|lavapipe|swiftshader|basic render/i.test(
      `${architecture} ${device} ${description}`,
    ),
    features: [...adapter.features].sort(),
  };
}
