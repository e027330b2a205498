/**
 * A kernel is its WGSL: the bindings, their access and the parameter struct are read from the
 * source, so nothing is declared twice. Sources are concatenated (shared snippets of shaders/lib
 * first), never edited.
 */
import { GpuError } from "./errors.ts";

export type Access = "read" | "write" | "texture_read" | "texture_write";

export interface BindingDeclaration {
  readonly name: string;
  readonly binding: number;
  readonly access: Access;
}

export interface ParameterField {
  readonly name: string;
  readonly type: "u32" | "i32" | "f32";
}

export interface Kernel {
  readonly name: string;
  readonly code: string;
  readonly bindings: readonly BindingDeclaration[];
  /** Fields of `struct Params`, bound as `@group(1) @binding(0) var<uniform> params: Params`. */
  readonly parameters: readonly ParameterField[];
}

const STORAGE = /@group\(0\)\s*@binding\((\d+)\)\s*var<storage,\s*(read|read_write)>\s*(\w+)/g;
const TEXTURE =
  /@group\(0\)\s*@binding\((\d+)\)\s*var\s+(\w+)\s*:\s*texture_storage_2d<\s*rgba32float\s*,\s*(read|write)\s*>/g;
const PARAMS = /struct\s+Params\s*\{([^}]*)\}/;
const FIELD = /(\w+)\s*:\s*(\w+)/g;

/** Makes a kernel of WGSL sources; the entry point is `main`. */
export function defineKernel(name: string, ...sources: string[]): Kernel {
  const code = sources.join("\n");
  const plain = code.replace(/\/\/.*$/gm, "");
  const bindings: BindingDeclaration[] = [];
  for (const [, binding, access, label] of plain.matchAll(STORAGE)) {
    bindings.push({
      name: label,
      binding: Number(binding),
      access: access === "read" ? "read" : "write",
    });
  }
  for (const [, binding, label, access] of plain.matchAll(TEXTURE)) {
    bindings.push({
      name: label,
      binding: Number(binding),
      access: access === "read" ? "texture_read" : "texture_write",
    });
  }
  const parameters: ParameterField[] = [];
  const struct = plain.match(PARAMS);
  if (struct) {
    for (const [, field, type] of struct[1].matchAll(FIELD)) {
      if (type !== "u32" && type !== "i32" && type !== "f32") {
        throw new GpuError(
          `kernel ${name}: parameter ${field} must be u32, i32 or f32, got ${type}`,
        );
      }
      parameters.push({ name: field, type });
    }
  }
  return { name, code, bindings, parameters };
}

/** Packs parameters in the order of the struct; a missing or unknown one is an error. */
export function packParameters(
  kernel: Kernel,
  values: Readonly<Record<string, number>>,
  target: DataView,
  byteOffset: number,
): void {
  for (const [index, { name, type }] of kernel.parameters.entries()) {
    const value = values[name];
    if (value === undefined || (type !== "f32" && !Number.isInteger(value))) {
      throw new GpuError(`kernel ${kernel.name}: parameter ${name} must be ${type}, got ${value}`);
    }
    const at = byteOffset + index * 4;
    if (type === "f32") target.setFloat32(at, value, true);
    else if (type === "u32") target.setUint32(at, value, true);
    else target.setInt32(at, value, true);
  }
  if (Object.keys(values).length !== kernel.parameters.length) {
    const known = kernel.parameters.map((field) => field.name);
    const unknown = Object.keys(values).filter((name) => !known.includes(name));
    throw new GpuError(`kernel ${kernel.name}: unknown parameter ${unknown.join(", ")}`);
  }
}
