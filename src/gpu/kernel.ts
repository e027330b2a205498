/**
 * A kernel is defined by its WGSL: bindings, parameters, constants and required features are parsed
 * from the source, so nothing is declared twice. Directives in the header comment name what a
 * source depends on:
 *
 *   // @use lanes, rng             libraries: snippets of WGSL that are prepended to the source
 *   // @use bfloat16 | float32     one of several libraries with the same interface
 *   // @const HEAD_QUADS           a `const` of type u32, where an override cannot stand: it sizes
 *                                  arrays in registers
 *
 *   // @unroll                  before a loop: see unroll.ts
 *
 * Libraries may use others. Sources are concatenated and not otherwise edited; `enable` lines come
 * first.
 */
import type { Feature } from "./capabilities.ts";
import { GpuError } from "./errors.ts";
import { unrolled } from "./unroll.ts";

/** How a shader uses a binding. */
export type Access = "read" | "write";

/** A binding of group 0, as declared in the WGSL. */
export interface BindingDeclaration {
  /** The variable's name in the WGSL: the key in {@link Dispatch.operands}. */
  readonly name: string;
  /** Its `@binding`. */
  readonly binding: number;
  /** Whether the shader may write to it. */
  readonly access: Access;
  /** Format of a storage texture; undefined for a buffer. */
  readonly texture?: GPUTextureFormat;
}

/** A scalar of the parameter struct. */
export interface ParameterField {
  /** The field's name: the key in {@link Dispatch.params}. */
  readonly name: string;
  /** Its WGSL type. */
  readonly type: "u32" | "i32" | "f32";
}

/** A constant that specialises a kernel when its pipeline is compiled. */
export interface ConstantDeclaration {
  /** Its name in the WGSL: the key in {@link Dispatch.constants}. */
  readonly name: string;
  /** An `override` in the WGSL, or a `const` prepended to it. */
  readonly kind: "override" | "const";
  /** Its WGSL type. */
  readonly type: string;
  /** The allowed values; if there is only one, dispatches may omit it. */
  readonly values: readonly number[];
}

/** A compute shader and the interface that its WGSL declares; see {@link defineKernel}. */
export interface Kernel {
  /** For error messages, labels and timings. */
  readonly name: string;
  /** The chosen library of each `@use` with alternatives. */
  readonly variants: readonly string[];
  /** WGSL without its `const`s: see {@link specialised}. */
  readonly code: string;
  /** Operands, in the order of the source. */
  readonly bindings: readonly BindingDeclaration[];
  /** Fields of `struct Params`, bound as `@group(1) @binding(0) var<uniform> params: Params`. */
  readonly parameters: readonly ParameterField[];
  /** What specialises it, in the order of the source. */
  readonly constants: readonly ConstantDeclaration[];
  /** Features without which it does not compile. */
  readonly features: readonly Feature[];
}

/** Options of {@link defineKernel}. */
export interface KernelOptions {
  /** Libraries that `@use` can name. */
  readonly libraries?: Readonly<Record<string, string>>;
  /** The chosen library of each `@use` with alternatives. */
  readonly variants?: readonly string[];
  /** The allowed value or values of each constant that the WGSL declares. */
  readonly constants?: Readonly<Record<string, number | readonly number[]>>;
}

/** Every kernel defined so far, for tools that inspect all of them. */
export const KERNELS: Kernel[] = [];

const USE = /^\/\/ @use (.+)$/gm;
const CONST = /^\/\/ @const (\w+)/gm;
const ENABLE = /^enable [^;]+;/gm;
const COMMENT = /\/\/.*$/gm;
const OVERRIDE = /\boverride\s+(\w+)\s*:\s*(\w+)\s*;/g;
const STORAGE = /@group\(0\)\s*@binding\((\d+)\)\s*var<storage,\s*(read|read_write)>\s*(\w+)/g;
const TEXTURE =
  /@group\(0\)\s*@binding\((\d+)\)\s*var\s+(\w+)\s*:\s*texture_storage_2d<\s*(\w+)\s*,\s*(read|write)\s*>/g;
const PARAMS = /struct\s+Params\s*\{([^}]*)\}/;
const FIELD = /(\w+)\s*:\s*(\w+)/g;
/** Deno's WGSL accepts subgroup operations without an `enable` line. */
const SUBGROUPS = /\bsubgroup[A-Z]\w*\s*\(|@builtin\(\s*subgroup_/;
const F16 = /^enable\s+[^;]*\bf16\b/m;

/**
 * Defines a kernel from WGSL with entry point `main`. Throws {@link GpuError} on a faulty source.
 */
export function defineKernel(name: string, source: string, options: KernelOptions = {}): Kernel {
  const code = assembled(name, source, options);
  const plain = code.replace(COMMENT, "");
  const kernel = {
    name,
    variants: options.variants ?? [],
    code,
    bindings: bindingsOf(plain),
    parameters: parametersOf(name, plain),
    constants: constantsOf(name, code, options.constants ?? {}),
    features: [
      ...(F16.test(plain) ? ["shader-f16" as const] : []),
      ...(SUBGROUPS.test(plain) ? ["subgroups" as const] : []),
    ],
  };
  KERNELS.push(kernel);
  return kernel;
}

/** All libraries used, directly or indirectly, then the source; `enable` lines come first. */
function assembled(
  name: string,
  source: string,
  { libraries = {}, variants = [] }: KernelOptions,
): string {
  const parts = new Map<string, string>(), chosen = new Set<string>();
  const visit = (label: string, text: string) => {
    if (parts.has(label)) return;
    parts.set(label, ""); // mark as seen: libraries may use one another
    for (const use of text.matchAll(USE).flatMap(([, line]) => line.split(","))) {
      const alternatives = use.split("|").map((each) => each.trim());
      const meant = alternatives.length === 1
        ? alternatives
        : alternatives.filter((each) => variants.includes(each));
      if (meant.length !== 1) {
        throw new GpuError(
          `kernel ${name}: ${label} uses one of ${alternatives.join(", ")}, ` +
            `the variants name ${meant.join(" and ") || "none of them"}`,
        );
      }
      const library = libraries[meant[0]];
      if (library === undefined) {
        throw new GpuError(`kernel ${name}: ${label} uses ${meant[0]}, which is not a library`);
      }
      if (alternatives.length > 1) chosen.add(meant[0]);
      visit(meant[0], library);
    }
    parts.delete(label);
    parts.set(label, text);
  };
  visit("the shader", source);
  const unused = variants.filter((variant) => !chosen.has(variant));
  if (unused.length) throw new GpuError(`kernel ${name}: nothing uses ${unused.join(", ")}`);
  const code = [...parts.values()].join("\n");
  const enabled = [...new Set(code.match(ENABLE))];
  return enabled.length ? [...enabled, code.replace(ENABLE, "")].join("\n") : code;
}

function bindingsOf(plain: string): BindingDeclaration[] {
  const accessOf = (access: string): Access => access === "read" ? "read" : "write";
  return [
    ...plain.matchAll(STORAGE).map(([, binding, access, name]) => ({
      name,
      binding: Number(binding),
      access: accessOf(access),
    })),
    ...plain.matchAll(TEXTURE).map(([, binding, name, format, access]) => ({
      name,
      binding: Number(binding),
      access: accessOf(access),
      texture: format as GPUTextureFormat,
    })),
  ];
}

function parametersOf(kernel: string, plain: string): ParameterField[] {
  const fields = plain.match(PARAMS)?.[1] ?? "";
  return Array.from(fields.matchAll(FIELD), ([, name, type]) => {
    if (type !== "u32" && type !== "i32" && type !== "f32") {
      throw new GpuError(
        `kernel ${kernel}: parameter ${name} must be u32, i32 or f32, got ${type}`,
      );
    }
    return { name, type };
  });
}

function constantsOf(
  kernel: string,
  code: string,
  given: NonNullable<KernelOptions["constants"]>,
): ConstantDeclaration[] {
  const valuesOf = (name: string) => {
    const values = [given[name] ?? []].flat();
    if (!values.length) throw new GpuError(`kernel ${kernel}: constant ${name} has no values`);
    return values;
  };
  const consts = [...new Set(code.matchAll(CONST).map(([, name]) => name))].map((name) => ({
    name,
    kind: "const" as const,
    type: "u32",
    values: valuesOf(name),
  }));
  const overrides = Array.from(code.replace(COMMENT, "").matchAll(OVERRIDE), ([, name, type]) => ({
    name,
    kind: "override" as const,
    type,
    values: valuesOf(name),
  }));
  const all = [...consts, ...overrides];
  const unknown = Object.keys(given).filter((name) => !all.some((each) => each.name === name));
  if (unknown.length) {
    throw new GpuError(`kernel ${kernel}: the WGSL declares no ${unknown.join(", ")}`);
  }
  return all;
}

/**
 * The values of a kernel's constants, in order of declaration; `given` must hold those that allow
 * several. Throws {@link GpuError} on a missing, unknown or disallowed one.
 */
export function constantValues(
  kernel: Kernel,
  given: Readonly<Record<string, number>>,
): number[] {
  const unknown = Object.keys(given).filter((name) =>
    !kernel.constants.some((each) => each.name === name)
  );
  if (unknown.length) {
    throw new GpuError(`kernel ${kernel.name}: unknown constant ${unknown.join(", ")}`);
  }
  return kernel.constants.map(({ name, values }) => {
    const value = given[name] ?? (values.length === 1 ? values[0] : undefined);
    if (value === undefined || !values.includes(value)) {
      throw new GpuError(
        `kernel ${kernel.name}: constant ${name} must be ${values.join(", ")}, got ${value}`,
      );
    }
    return value;
  });
}

/** The WGSL to compile: its `const`s inserted, by name, and its marked loops unrolled. */
export function specialised(
  { code, constants: declared }: Kernel,
  constants: Readonly<Record<string, number>>,
): string {
  const lines = declared.filter(({ kind }) => kind === "const").map(({ name }) =>
    `const ${name} = ${constants[name]}u;`
  );
  if (!lines.length) return unrolled(code);
  const end = [...code.matchAll(ENABLE)].reduce(
    (at, it) => Math.max(at, it.index + it[0].length),
    0,
  );
  return unrolled(`${code.slice(0, end)}\n${lines.join("\n")}\n${code.slice(end)}`);
}

/** Packs parameters in struct order; throws {@link GpuError} on a missing or unknown one. */
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
