/** Writes GGUF files for llama.cpp in one pass. */
import { dirname } from "../packages/std_path.ts";
import { buildGgufHeader, type GGUFTypedMetadata } from "../packages/huggingface_gguf.ts";
import type { TokenizerFiles } from "../tokenizers/hf_tokenizer.ts";
import { UserError } from "../options/user_error.ts";
import type { LlamaConfig } from "../model/config.ts";
import { describeParameters } from "../model/description.ts";
import { writeAtomically } from "../files/atomic.ts";
import { writeBehind } from "../files/write_behind.ts";
import {
  activationOf,
  architectureFor,
  configMetadata,
  interleavesHeads,
} from "../formats/gguf/config.ts";
import { type Encoding, F16, F32, Q8_0 } from "../formats/gguf/encode.ts";
import { isNorm, isQueryOrKey, toGgufName } from "../formats/gguf/names.ts";
import { permuteHeads } from "../formats/gguf/permute.ts";
import { ROPE_TENSORS, ropeScalingToGguf, type RopeTensors } from "../formats/gguf/rope.ts";
import { tokenizerMetadata } from "./gguf_tokenizer.ts";
import { type KeyValues, value } from "../formats/gguf/values.ts";
import type { Sampled } from "../formats/generation_config.ts";
import { samplingMetadata } from "../formats/gguf/sampling.ts";
import { elementsOf } from "../numbers/layout.ts";

/** How matrices are stored: half precision, or 8 bits with a scale for every 32 elements. */
export const GGUF_TYPES = ["f16", "q8_0"] as const;
/** One of {@link GGUF_TYPES}. */
export type GgufType = typeof GGUF_TYPES[number];

/** A tensor by Hugging Face's name, in Hugging Face's order of rows. */
export interface GgufEntry {
  readonly name: string;
  readonly shape: readonly number[];
  /** Its elements in pieces of any size. Iterated once, in the order of the entries. */
  readonly data: AsyncIterable<Float32Array<ArrayBuffer>>;
}

export interface GgufModel {
  readonly config: LlamaConfig;
  readonly tensors: readonly GgufEntry[];
  /** Without them the file has no tokenizer, and llama.cpp handles token ids only. */
  readonly tokenizerFiles?: TokenizerFiles;
  /** For people. */
  readonly name?: string;
  /** Ids that end a text or a turn, besides those of the config; the turn's first. */
  readonly ends?: readonly number[];
  /** Undefined for greedy decoding. */
  readonly sampled?: Sampled;
  readonly type: GgufType;
}

/** Every tensor starts at a multiple of this. */
const ALIGNMENT = 32;

/** llama.cpp's file types, after the type of most tensors. */
const FILE_TYPE: Record<GgufType, number> = { f16: 1, q8_0: 7 };

/** An entry as it will be stored. */
interface Planned {
  readonly entry: GgufEntry;
  readonly name: string;
  readonly encoding: Encoding;
  readonly byteLength: number;
}

/**
 * Writes a GGUF file, version 3, atomically. Holds one piece of data at a time. Throws a {@link
 * UserError} with all missing and unexpected tensors, and with whatever GGUF cannot express, before
 * writing anything.
 */
export async function writeGguf(path: string, model: GgufModel): Promise<void> {
  const { config, name, type } = model;
  checkNames(path, model);
  checkActivation(path, config);
  const rope = ropeScalingToGguf(path, config, architectureFor(config));
  const tensors = [...ropeEntries(rope.tensors), ...model.tensors].map((entry) =>
    plan(entry, type)
  );
  const header = await encodeHeader(tensors, {
    ...configMetadata(config, rope.metadata),
    ...(name === undefined ? {} : { "general.name": value.string(name) }),
    ...samplingMetadata(model.sampled),
    "general.file_type": value.uint32(FILE_TYPE[type]),
    "general.quantization_version": value.uint32(2),
    "general.alignment": value.uint32(ALIGNMENT),
    ...vocabularyMetadata(model),
  });
  // What keeps a folder from being made keeps the file from being written, which says so.
  await Deno.mkdir(dirname(path), { recursive: true }).catch(() => {});
  await writeAtomically(path, (file) =>
    writeBehind(file, async (write) => {
      await write(header);
      for (const tensor of tensors) {
        let written = 0;
        for await (const piece of encoded(path, tensor, config)) {
          await write(piece);
          written += piece.length;
        }
        if (written !== tensor.byteLength) {
          throw new UserError(
            `${path}: tensor ${tensor.entry.name}: ${tensor.encoding.name} ` +
              `[${tensor.entry.shape.join(", ")}] takes ${tensor.byteLength} bytes, ` +
              `the data made ${written}`,
          );
        }
        await write(new Uint8Array(padded(written) - written));
      }
    }));
}

function checkNames(path: string, { config, tensors }: GgufModel): void {
  const expected = describeParameters(config).map(({ name }) => name);
  const given = new Set(tensors.map(({ name }) => name));
  const missing = expected.filter((name) => !given.has(name));
  const foreign = [...given].filter((name) => !expected.includes(name));
  const list = (names: readonly string[]) => names.slice(0, 4).join(", ");
  if (missing.length) {
    throw new UserError(`${path}: ${missing.length} tensors are missing: ${list(missing)}`);
  }
  if (foreign.length) {
    throw new UserError(
      `${path}: ${foreign.length} tensors do not belong to the model: ${list(foreign)}`,
    );
  }
}

/** llama.cpp has one activation for an architecture; the tanh approximation passes for the exact GELU. */
function checkActivation(path: string, config: LlamaConfig): void {
  const architecture = architectureFor(config), own = activationOf(architecture);
  if (config.activation === own || (config.activation === "gelu" && own === "gelu_tanh")) return;
  throw new UserError(
    `${path}: ${config.modelType} with the activation ${config.activation} cannot be written as ` +
      `GGUF: llama.cpp computes ${own} for ${architecture}`,
  );
}

/** The tokenizer, and the special ids that only the config names. */
function vocabularyMetadata(model: GgufModel): KeyValues {
  const { config, tokenizerFiles } = model;
  const id = (name: string) => `tokenizer.ggml.${name}_token_id`;
  const own: KeyValues = tokenizerFiles
    ? tokenizerMetadata("tokenizer.json", tokenizerFiles, config.vocabSize)
    : { "tokenizer.ggml.model": value.string("none") };
  const ends = [...new Set([...model.ends ?? [], config.eosTokenId ?? []].flat())];
  const eos = own[id("eos")]?.value ?? ends[0];
  // A chat model may end turns with another token than texts, and calls of functions with a third.
  const [eot, eom] = ends.filter((each) => each !== eos);
  const others: Record<string, unknown> = {
    bos: config.bosTokenId,
    eos,
    eot,
    eom,
    padding: config.padTokenId,
  };
  const given = Object.entries(others).filter(([, each]) => each !== undefined);
  return {
    ...Object.fromEntries(given.map(([name, each]) => [id(name), value.uint32(Number(each))])),
    ...own,
  };
}

/** Divisors of RoPE's frequencies, where its scaling is stored so. */
function ropeEntries(tensors: RopeTensors): GgufEntry[] {
  return ROPE_TENSORS.flatMap(({ name, applies }) => {
    const divisors = tensors[applies];
    if (!divisors) return [];
    async function* data() {
      yield await Promise.resolve(Float32Array.from(divisors!));
    }
    return { name, shape: [divisors.length], data: data() };
  });
}

function plan(entry: GgufEntry, type: GgufType): Planned {
  const { shape } = entry;
  const encoding = encodingOf(shape, type);
  const blocks = elementsOf(entry) / encoding.elements;
  return {
    entry,
    name: toGgufName(entry.name) ?? entry.name,
    encoding,
    byteLength: blocks * encoding.bytes,
  };
}

/** Norms and biases stay exact: they are small, and llama.cpp's kernels require F32. */
function encodingOf(shape: readonly number[], type: GgufType): Encoding {
  if (shape.length === 1) return F32;
  return type === "q8_0" && shape.at(-1)! % Q8_0.elements === 0 ? Q8_0 : F16;
}

/** Metadata, then name, dimensions (fastest first), type and offset of every tensor. */
async function encodeHeader(
  tensors: readonly Planned[],
  keyValues: KeyValues,
): Promise<Uint8Array> {
  const infos = new ByteList();
  let offset = 0;
  for (const { name, entry, encoding, byteLength } of tensors) {
    infos.text(name);
    infos.uint32(entry.shape.length);
    for (const size of [...entry.shape].reverse()) infos.uint64(size);
    infos.uint32(encoding.id);
    infos.uint64(offset);
    offset += padded(byteLength);
  }
  const bytes = infos.bytes();
  const typed = {
    version: value.uint32(3),
    tensor_count: { ...value.uint32(0), value: BigInt(tensors.length) },
    kv_count: { ...value.uint32(0), value: BigInt(Object.keys(keyValues).length) },
    ...keyValues,
  } as unknown as GGUFTypedMetadata;
  const header = await buildGgufHeader(new Blob([bytes]), typed, {
    littleEndian: true,
    alignment: ALIGNMENT,
    tensorInfoByteRange: [0, bytes.length],
  });
  return new Uint8Array(await header.arrayBuffer());
}

/** A growing little-endian byte buffer. */
class ByteList {
  readonly #parts: Uint8Array<ArrayBuffer>[] = [];

  uint32(value: number): void {
    this.#parts.push(new Uint8Array(Uint32Array.of(value).buffer));
  }

  uint64(value: number): void {
    this.#parts.push(new Uint8Array(BigUint64Array.of(BigInt(value)).buffer));
  }

  text(value: string): void {
    const bytes = new TextEncoder().encode(value);
    this.uint64(bytes.length);
    this.#parts.push(bytes as Uint8Array<ArrayBuffer>);
  }

  bytes(): Uint8Array<ArrayBuffer> {
    const all = new Uint8Array(this.#parts.reduce((sum, part) => sum + part.length, 0));
    let at = 0;
    for (const part of this.#parts) {
      all.set(part, at);
      at += part.length;
    }
    return all;
  }
}

function padded(bytes: number): number {
  return Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
}

/**
 * The bytes of a tensor, with head rows interleaved and norms offset where llama.cpp expects it.
 */
async function* encoded(
  path: string,
  { entry: { name, shape, data }, encoding }: Planned,
  config: LlamaConfig,
): AsyncGenerator<Uint8Array> {
  const { headSize, normOffset } = config;
  const columns = shape.length === 1 ? 1 : shape.at(-1)!;
  const interleaved = isQueryOrKey(name) && interleavesHeads(architectureFor(config));
  const unit = interleaved ? headSize * columns : encoding.elements;
  const offset = isNorm(name) ? normOffset : 0;
  for await (const piece of inWhole(data, unit)) {
    const values = interleaved ? permuteHeads(piece, { headSize, columns, to: "gguf" }) : piece;
    const bad = firstBeyond(values, encoding.limit);
    if (bad !== undefined) {
      throw new UserError(
        `${path}: tensor ${name} has the value ${bad}, which ${encoding.name} cannot hold`,
        Number.isFinite(bad) && encoding === F16 ? "q8_0 can" : "has the training diverged?",
      );
    }
    yield encoding.encode(offset ? values.map((each) => each + offset) : values);
  }
}

/** The first value that is not finite or reaches that magnitude. */
function firstBeyond(values: Float32Array, limit: number): number | undefined {
  for (let i = 0; i < values.length; i++) {
    if (!(Math.abs(values[i]) < limit)) return values[i];
  }
}

/** The same elements in pieces whose length is a multiple of `unit`; drops an incomplete end. */
async function* inWhole(
  pieces: AsyncIterable<Float32Array<ArrayBuffer>>,
  unit: number,
): AsyncGenerator<Float32Array<ArrayBuffer>> {
  let held = new Float32Array(0);
  for await (const piece of pieces) {
    const joined = held.length ? new Float32Array(held.length + piece.length) : piece;
    if (held.length) {
      joined.set(held);
      joined.set(piece, held.length);
    }
    const whole = joined.length - joined.length % unit;
    if (whole) yield joined.subarray(0, whole);
    held = joined.slice(whole);
  }
  // An incomplete block: the caller detects the missing elements.
  if (held.length) yield new Float32Array(0);
}
