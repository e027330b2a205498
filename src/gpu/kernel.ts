/**
 * A kernel is its WGSL: bindings, parameters, constants and the features it needs are read from the
 * source, so nothing is declared twice. A source begins with what it needs besides itself, in lines
 * of its header comment:
 *
 *   // @use lanes, rng             libraries: snippets of WGSL that are put before the source
 *   // @use bfloat16 | float32     one of several libraries that offer the same names
 *   // @const HEAD_QUADS           a `const` of type u32, where an override cannot stand: it sizes
 *                                  arrays in registers
 *
 * Libraries may use others. Sources are put one after another, never edited; `enable` lines come
 * first.
 */
import type { Feature } from "./capabilities.ts";
import { GpuError } from "./errors.ts";

/** How a shader uses a binding. */
export type Access = "read" | "write";

/** A binding of group 0, as the WGSL declares it. */
export interface BindingDeclaration {
  readonly name: string;
  readonly binding: number;
  readonly access: Access;
  /** Of a storage texture, its format; a buffer has none. */
  readonly texture?: GPUTextureFormat;
}

/** A scalar of the parameter struct. */
export interface ParameterField {
  readonly name: string;
  readonly type: "u32" | "i32" | "f32";
}

/** A number that specialises a kernel when its pipeline is compiled. */
export interface ConstantDeclaration {
  readonly name: string;
  /** An `override` of the WGSL, or a `const` that is put before it. */
  readonly kind: "override" | "const";
  readonly type: string;
  /** All that a dispatch may give; where it is one, no dispatch needs to. */
  readonly values: readonly number[];
}

export interface Kernel {
  readonly name: string;
  /** WGSL without its `const`s: see {@link specialised}. */
  readonly code: string;
  readonly bindings: readonly BindingDeclaration[];
  /** Fields of `struct Params`, bound as `@group(1) @binding(0) var<uniform> params: Params`. */
  readonly parameters: readonly ParameterField[];
  readonly constants: readonly ConstantDeclaration[];
  /** Without them it does not compile. */
  readonly features: readonly Feature[];
}

export interface KernelOptions {
  /** What `@use` can name. */
  readonly libraries?: Readonly<Record<string, string>>;
  /** Of each `@use` with alternatives, the one that is meant. */
  readonly variants?: readonly string[];
  /** The value, or all values, of each constant that the WGSL declares. */
  readonly constants?: Readonly<Record<string, number | readonly number[]>>;
}

/** Every kernel that was defined, for tools that look at all of them. */
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
/** Deno's WGSL knows subgroup operations without an `enable` line. */
const SUBGROUPS = /\bsubgroup[A-Z]\w*\s*\(|@builtin\(\s*subgroup_/;
const F16 = /^enable\s+[^;]*\bf16\b/m;

/** Makes a kernel of WGSL; the entry point is `main`. Throws {@link GpuError} on what cannot be. */
export function defineKernel(name: string, source: string, options: KernelOptions = {}): Kernel {
  const code = assembled(name, source, options);
  const plain = code.replace(COMMENT, "");
  const kernel = {
    name,
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

/** The libraries that are used, directly or not, and the source; `enable` lines before all. */
function assembled(
  name: string,
  source: string,
  { libraries = {}, variants = [] }: KernelOptions,
): string {
  const parts = new Map<string, string>(), chosen = new Set<string>();
  const visit = (label: string, text: string) => {
    if (parts.has(label)) return;
    parts.set(label, ""); // libraries may use one another
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
        throw new GpuError(`kernel ${name}: ${label} uses ${meant[0]}, which no library is`);
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
 * The values of all of a kernel's constants, in the order of their declaration, where `given` has
 * those with a choice. Throws {@link GpuError} on one that is missing, unknown or not allowed.
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

/** The WGSL with its `const`s, whose values are in `constants` by name. */
export function specialised(
  { code, constants: declared }: Kernel,
  constants: Readonly<Record<string, number>>,
): string {
  const lines = declared.filter(({ kind }) => kind === "const").map(({ name }) =>
    `const ${name} = ${constants[name]}u;`
  );
  if (!lines.length) return code;
  const end = [...code.matchAll(ENABLE)].reduce(
    (at, it) => Math.max(at, it.index + it[0].length),
    0,
  );
  return `${code.slice(0, end)}\n${lines.join("\n")}\n${code.slice(end)}`;
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
