/** Compiled pipelines, kept by kernel and constants: few and small ones make a quick start. */
import type { Kernel } from "./kernel.ts";

export type Constants = Readonly<Record<string, number>>;

export interface Pipeline {
  readonly pipeline: GPUComputePipeline;
  readonly operands: GPUBindGroupLayout;
}

/** What compiles: a `Gpu`. */
export interface Compiler {
  readonly device: GPUDevice;
  /** Runs `make`, and keeps what validation finds wrong with it. */
  validated<T>(what: string, make: () => T): T;
}

export class PipelineCache {
  readonly #pipelines = new Map<string, Pipeline>();
  readonly #modules = new Map<Kernel, GPUShaderModule>();
  #parameters: GPUBindGroupLayout | undefined;

  constructor(readonly gpu: Compiler) {}

  /** Layout of group 1: the parameter struct, at a dynamic offset. */
  get parameterLayout(): GPUBindGroupLayout {
    return this.#parameters ??= this.gpu.device.createBindGroupLayout({
      label: "parameters",
      entries: [{
        binding: 0,
        visibility: GPUShaderStage.COMPUTE,
        buffer: { type: "uniform", hasDynamicOffset: true },
      }],
    });
  }

  get(kernel: Kernel, constants: Constants): Pipeline {
    const names = Object.keys(constants).sort();
    const key = kernel.name + names.map((name) => `,${name}=${constants[name]}`).join("");
    let found = this.#pipelines.get(key);
    if (!found) {
      found = this.#compile(kernel, key, constants);
      this.#pipelines.set(key, found);
    }
    return found;
  }

  #compile(kernel: Kernel, label: string, constants: Constants): Pipeline {
    const { device } = this.gpu;
    return this.gpu.validated(`kernel ${label}`, () => {
      let module = this.#modules.get(kernel);
      if (!module) {
        module = device.createShaderModule({ label: kernel.name, code: kernel.code });
        this.#modules.set(kernel, module);
      }
      const operands = device.createBindGroupLayout({
        label,
        entries: kernel.bindings.map(({ binding, access }) => {
          const entry = { binding, visibility: GPUShaderStage.COMPUTE };
          switch (access) {
            case "read":
              return { ...entry, buffer: { type: "read-only-storage" } };
            case "write":
              return { ...entry, buffer: { type: "storage" } };
            case "texture_read":
              return { ...entry, storageTexture: { access: "read-only", format: "rgba32float" } };
            case "texture_write":
              return { ...entry, storageTexture: { access: "write-only", format: "rgba32float" } };
          }
        }),
      });
      const layout = device.createPipelineLayout({
        label,
        bindGroupLayouts: kernel.parameters.length ? [operands, this.parameterLayout] : [operands],
      });
      const pipeline = device.createComputePipeline({
        label,
        layout,
        compute: { module, entryPoint: "main", constants: { ...constants } },
      });
      return { pipeline, operands };
    });
  }
}
