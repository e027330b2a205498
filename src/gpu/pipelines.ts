/**
 * Compiled pipelines, cached by kernel (by identity, not by name) and constants. Few and small ones
 * keep start-up fast.
 */
import type { Capabilities } from "./capabilities.ts";
import { GpuError } from "./errors.ts";
import { constantValues, type Kernel, specialised } from "./kernel.ts";
import { SHADER_STAGE } from "./usage.ts";

/** Values of a kernel's constants, by name. */
export type Constants = Readonly<Record<string, number>>;

/** A compiled kernel. */
export interface Pipeline {
  /** With its constants. */
  readonly pipeline: GPUComputePipeline;
  /** Layout of group 0. */
  readonly operands: GPUBindGroupLayout;
}

/** The part of a `Gpu` that compiles pipelines. */
export interface Compiler {
  /** The device to compile for. */
  readonly device: GPUDevice;
  /** What a kernel may require. */
  readonly capabilities: Capabilities;
  /** Runs `make` and keeps any validation error. */
  validated<T>(what: string, make: () => T): T;
}

/** The pipelines of a device, each compiled once. */
export class PipelineCache {
  readonly #kernels = new Map<
    Kernel,
    { readonly modules: Map<string, GPUShaderModule>; readonly pipelines: Map<string, Pipeline> }
  >();
  #parameters: GPUBindGroupLayout | undefined;

  /** An empty cache. */
  constructor(readonly gpu: Compiler) {}

  /** Layout of group 1: the parameter struct, at a dynamic offset. */
  get parameterLayout(): GPUBindGroupLayout {
    return this.#parameters ??= this.gpu.device.createBindGroupLayout({
      label: "parameters",
      entries: [{
        binding: 0,
        visibility: SHADER_STAGE.COMPUTE,
        buffer: { type: "uniform", hasDynamicOffset: true },
      }],
    });
  }

  /** Throws {@link GpuError} on constants that the kernel does not declare. */
  get(kernel: Kernel, given: Constants): Pipeline {
    let variants = this.#kernels.get(kernel);
    if (!variants) {
      this.#kernels.set(kernel, variants = { modules: new Map(), pipelines: new Map() });
    }
    const key = keyOf(kernel, given);
    let found = variants.pipelines.get(key);
    if (!found) {
      const values = constantValues(kernel, given);
      found = this.#compile(kernel, values, variants.modules);
      variants.pipelines.set(key, found);
    }
    return found;
  }

  /** Whether {@link get} would have nothing to compile. */
  has(kernel: Kernel, given: Constants): boolean {
    return !!this.#kernels.get(kernel)?.pipelines.has(keyOf(kernel, given));
  }

  /** What was compiled so far. */
  *compiled(): Generator<[kernel: Kernel, constants: Constants]> {
    for (const [kernel, { pipelines }] of this.#kernels) {
      for (const key of pipelines.keys()) {
        const values = constantValues(kernel, constantsOf(kernel, key));
        yield [
          kernel,
          Object.fromEntries(kernel.constants.map(({ name }, i) => [name, values[i]])),
        ];
      }
    }
  }

  #compile(
    kernel: Kernel,
    values: readonly number[],
    modules: Map<string, GPUShaderModule>,
  ): Pipeline {
    const { device, capabilities } = this.gpu;
    const missing = kernel.features.filter((name) => !capabilities.features.includes(name));
    if (missing.length) {
      throw new GpuError(
        `kernel ${kernel.name}: needs ${missing.join(" and ")}, which this adapter does not grant`,
      );
    }
    const constants = (kind: "const" | "override") =>
      Object.fromEntries(
        kernel.constants.flatMap((each, i) => each.kind === kind ? [[each.name, values[i]]] : []),
      );
    const label = [kernel.name, ...kernel.constants.map(({ name }, i) => `${name}=${values[i]}`)]
      .join();
    return this.gpu.validated(`kernel ${label}`, () => {
      const code = specialised(kernel, constants("const"));
      let module = modules.get(code);
      if (!module) {
        module = device.createShaderModule({ label: kernel.name, code });
        modules.set(code, module);
      }
      const operands = device.createBindGroupLayout({
        label,
        entries: kernel.bindings.map(({ binding, access, texture: format }) => ({
          binding,
          visibility: SHADER_STAGE.COMPUTE,
          ...(format
            ? { storageTexture: { access: access === "read" ? "read-only" : "write-only", format } }
            : { buffer: { type: access === "read" ? "read-only-storage" : "storage" } }),
        })),
      });
      const layout = device.createPipelineLayout({
        label,
        bindGroupLayouts: kernel.parameters.length ? [operands, this.parameterLayout] : [operands],
      });
      const pipeline = device.createComputePipeline({
        label,
        layout,
        compute: { module, entryPoint: "main", constants: constants("override") },
      });
      return { pipeline, operands };
    });
  }
}

/** Of a pipeline, among those of its kernel. */
export function keyOf(kernel: Kernel, given: Constants): string {
  return kernel.constants.map(({ name }) => given[name]).join();
}

/** What {@link keyOf} was given. */
function constantsOf(kernel: Kernel, key: string): Constants {
  const given = key.split(",");
  return Object.fromEntries(
    kernel.constants.flatMap(({ name }, i) => given[i] ? [[name, Number(given[i])]] : []),
  );
}
