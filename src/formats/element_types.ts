/** The element types of safetensors, and their values as float32. */
import { roundToBfloat16, widenBfloat16 } from "../numbers/bfloat16.ts";
import { UserError } from "../options/user_error.ts";

/** As the format names them. */
export type ElementType =
  | "U64"
  | "I64"
  | "F64"
  | "F32"
  | "U32"
  | "I32"
  | "BF16"
  | "F16"
  | "U16"
  | "I16"
  | "F8_E4M3"
  | "F8_E5M2"
  | "I8"
  | "U8"
  | "BOOL";

/** Bytes per element, in the order in which the reference implementation lays out tensors. */
export const ELEMENT_BYTES = {
  U64: 8,
  I64: 8,
  F64: 8,
  F32: 4,
  U32: 4,
  I32: 4,
  BF16: 2,
  F16: 2,
  U16: 2,
  I16: 2,
  F8_E4M3: 1,
  F8_E5M2: 1,
  I8: 1,
  U8: 1,
  BOOL: 1,
} satisfies Record<ElementType, number>;

/** The values of E5M2's codes: the high halves of float16's. */
const E5M2 = new Float32Array(
  new Float16Array(Uint16Array.from({ length: 256 }, (_, code) => code << 8).buffer),
);

/** The values of E4M3's codes: no infinities, and one NaN of either sign. */
const E4M3 = Float32Array.from({ length: 256 }, (_, code) => {
  const exponent = code >> 3 & 15, mantissa = code & 7, sign = code & 128 ? -1 : 1;
  if ((code & 127) === 127) return NaN;
  return sign * (exponent ? (8 + mantissa) * 2 ** (exponent - 10) : mantissa * 2 ** -9);
});

/** Whether a type is unsuitable for weights: integers are masks, indices or quantised codes. */
export function isIntegerType(name: string): boolean {
  return /^[IU]\d+$|^BOOL$/.test(name);
}

export function isElementType(name: unknown): name is ElementType {
  return typeof name === "string" && Object.hasOwn(ELEMENT_BYTES, name);
}

/** The types in which weights are written. */
export type FloatType = "F32" | "F16" | "BF16";

/** Numbers as little-endian elements, rounded to nearest, ties to even. */
export function fromFloat32(
  type: FloatType,
  values: Float32Array<ArrayBuffer>,
): Uint8Array<ArrayBuffer> {
  switch (type) {
    case "F32":
      return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    case "F16":
      return new Uint8Array(new Float16Array(values).buffer);
    case "BF16": {
      const halves = new Uint16Array(values.length);
      roundToBfloat16(values, halves);
      return new Uint8Array(halves.buffer);
    }
  }
}

/** The same into memory at hand. */
export function writeFloat32(
  type: FloatType,
  values: Float32Array<ArrayBuffer>,
  into: Uint8Array<ArrayBuffer>,
): void {
  if (type === "BF16" && into.byteOffset % 2 === 0) {
    roundToBfloat16(values, new Uint16Array(into.buffer, into.byteOffset, values.length));
  } else {
    into.set(fromFloat32(type, values));
  }
}

/**
 * Little-endian elements as float32: exact for F32, F16, BF16, small integers and BOOL, rounded to
 * nearest for the rest. The bytes may start at any address.
 */
export function toFloat32(type: ElementType, bytes: Uint8Array): Float32Array<ArrayBuffer> {
  const size = ELEMENT_BYTES[type];
  if (bytes.length % size !== 0) {
    throw new UserError(`toFloat32: ${bytes.length} bytes are no whole number of ${type} elements`);
  }
  // A typed array needs an aligned address, which a copy always has; and the result is the caller's.
  const own = bytes.byteLength === bytes.buffer.byteLength && type !== "F32";
  const buffer = (own ? bytes : bytes.slice()).buffer as ArrayBuffer;
  switch (type) {
    case "F64":
      return Float32Array.from(new Float64Array(buffer));
    case "F32":
      return new Float32Array(buffer);
    case "F16":
      return new Float32Array(new Float16Array(buffer));
    case "BF16": {
      const halves = new Uint16Array(buffer), values = new Float32Array(halves.length);
      widenBfloat16(halves, values);
      return values;
    }
    case "I64":
      return Float32Array.from(new BigInt64Array(buffer), Number);
    case "U64":
      return Float32Array.from(new BigUint64Array(buffer), Number);
    case "I32":
      return Float32Array.from(new Int32Array(buffer));
    case "U32":
      return Float32Array.from(new Uint32Array(buffer));
    case "I16":
      return Float32Array.from(new Int16Array(buffer));
    case "U16":
      return Float32Array.from(new Uint16Array(buffer));
    case "F8_E4M3":
      return lookedUp(E4M3, buffer);
    case "F8_E5M2":
      return lookedUp(E5M2, buffer);
    case "I8":
      return Float32Array.from(new Int8Array(buffer));
    case "U8":
    case "BOOL":
      return Float32Array.from(new Uint8Array(buffer));
  }
}

function lookedUp(values: Float32Array, codes: ArrayBuffer): Float32Array<ArrayBuffer> {
  const bytes = new Uint8Array(codes), out = new Float32Array(bytes.length);
  for (let i = 0; i < out.length; i++) out[i] = values[bytes[i]];
  return out;
}
