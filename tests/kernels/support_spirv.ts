/** The workgroup memory of a shader, from the SPIR-V that it compiles to. */

/** Opcodes of the SPIR-V specification, section 3. */
const TYPE_INT = 21, TYPE_FLOAT = 22, TYPE_VECTOR = 23, TYPE_MATRIX = 24, TYPE_ARRAY = 28;
const TYPE_STRUCT = 30, TYPE_POINTER = 32, CONSTANT = 43, VARIABLE = 59;
const WORKGROUP = 4;

interface Size {
  readonly bytes: number;
  readonly align: number;
}

const roundUp = (bytes: number, align: number) => Math.ceil(bytes / align) * align;

/**
 * Bytes of all variables in workgroup memory, by WGSL's sizes and alignments, each rounded up to 16:
 * what WebGPU's maxComputeWorkgroupStorageSize limits.
 */
export function workgroupBytes(words: Uint32Array): number {
  const instructions = new Map<number, { readonly code: number; readonly rest: Uint32Array }>();
  let total = 0;
  const sizeOf = (id: number): Size => {
    const { code, rest } = instructions.get(id)!;
    switch (code) {
      case TYPE_INT:
      case TYPE_FLOAT:
        return { bytes: rest[0] / 8, align: rest[0] / 8 };
      case TYPE_VECTOR: {
        const { bytes } = sizeOf(rest[0]), count = rest[1];
        return { bytes: count * bytes, align: bytes * (count === 3 ? 4 : count) };
      }
      case TYPE_MATRIX: {
        const { bytes, align } = sizeOf(rest[0]);
        return { bytes: rest[1] * roundUp(bytes, align), align };
      }
      case TYPE_ARRAY: {
        const { bytes, align } = sizeOf(rest[0]);
        return { bytes: instructions.get(rest[1])!.rest[0] * roundUp(bytes, align), align };
      }
      case TYPE_STRUCT: {
        const members = [...rest].map(sizeOf), align = Math.max(...members.map((it) => it.align));
        const end = members.reduce((at, it) => roundUp(at, it.align) + it.bytes, 0);
        return { bytes: roundUp(end, align), align };
      }
    }
    throw new Error(`SPIR-V: opcode ${code} is not a type that workgroup memory holds`);
  };
  // After five words of header, the first word of an instruction has its length and its opcode.
  for (let at = 5; at < words.length; at += words[at] >>> 16) {
    const code = words[at] & 0xffff, all = words.subarray(at + 1, at + (words[at] >>> 16));
    if (code === CONSTANT) instructions.set(all[1], { code, rest: all.subarray(2) });
    else if (code >= TYPE_INT && code <= TYPE_POINTER) {
      instructions.set(all[0], { code, rest: all.subarray(1) });
    } else if (code === VARIABLE && all[2] === WORKGROUP) {
      total += roundUp(sizeOf(instructions.get(all[0])!.rest[1]).bytes, 16);
    }
  }
  return total;
}
