/**
 * llama.cpp's GGUF files, read as if they were Hugging Face checkpoints: names, row order and norm
 * offsets follow Hugging Face, values are float32.
 * https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
 */
import { UserError } from "../../options/user_error.ts";
import type { LlamaConfig } from "../../model/config.ts";
import { FileRange } from "../../files/file_range.ts";
import type { WeightFile, WeightInfo } from "../weight_file.ts";
import { BLOCK_TYPES, type BlockType, blockTypeName } from "./blocks.ts";
import { architectureOf, interleavesHeads, readGgufConfig } from "./config.ts";
import type { GgufTensor } from "./header.ts";
import type { Metadata } from "./metadata.ts";
import { isNorm, isQueryOrKey, toHfName } from "./names.ts";
import { permuteHeads } from "./permute.ts";
import { ROPE_TENSORS, ropeScalingFromGguf, type RopeTensors } from "./rope.ts";
import { readGgufHeaders } from "./split.ts";
import { readGgufTokenizer } from "./tokenizer_in.ts";
import { elementsOf } from "../../numbers/layout.ts";

/** A tensor's location and storage format. */
interface Located {
  readonly name: string;
  readonly shape: readonly number[];
  readonly file: FileRange;
  readonly start: number;
  readonly type: BlockType;
}

/** A tensor by Hugging Face's name. */
interface Stored extends Located, WeightInfo {
  /** Whether the rows of its heads are interleaved. */
  readonly interleaved: boolean;
  /** Its values in the file are larger by this amount (Gemma's norms). */
  readonly offset: number;
}

/** An opened GGUF model, in one file or several, of which only the headers have been read. */
export class GgufFile implements WeightFile {
  private constructor(
    readonly path: string,
    private readonly stored: ReadonlyMap<string, Stored>,
    readonly config: LlamaConfig,
    private readonly metadata: Metadata,
    private readonly files: readonly FileRange[],
  ) {}

  /** By Hugging Face's names, in the order of the file. */
  get tensors(): ReadonlyMap<string, WeightInfo> {
    return this.stored;
  }

  /**
   * Opens a `.gguf` file, with the other parts of its model. Throws a {@link UserError} that names
   * what is not supported (architecture, type of a tensor) or what is wrong with the file.
   */
  static async open(path: string): Promise<GgufFile> {
    const headers = await readGgufHeaders(path), [{ metadata }] = headers;
    const named = new Map(
      headers.flatMap(({ tensors }) => tensors).map((each) => [each.name, each]),
    );
    const config = readGgufConfig(metadata, named);
    const architecture = architectureOf(metadata), interleaved = interleavesHeads(architecture);
    const tensors = new Map<string, Stored>(), files: FileRange[] = [];
    const divisors: RopeTensors = {};
    try {
      for (const header of headers) {
        const file = await FileRange.open(header.metadata.path);
        files.push(file);
        for (const tensor of header.tensors) {
          const located = { ...tensor, file, type: checkedType(tensor, file) };
          const rope = ROPE_TENSORS.find(({ name }) => name === tensor.name);
          if (rope) {
            divisors[rope.applies] = await readElements(located, 0, elementsOf(located));
          } else {
            const stored = storedAs(located, config, interleaved);
            tensors.set(stored.name, stored);
          }
        }
      }
      const ropeScaling = ropeScalingFromGguf(metadata, architecture, config, divisors);
      const scaled = ropeScaling ? { ...config, ropeScaling } : config;
      return new GgufFile(path, tensors, scaled, metadata, files);
    } catch (error) {
      for (const file of files) file.close();
      throw error;
    }
  }

  /** Information about a tensor; throws a {@link UserError} if none has that name. */
  info(name: string): WeightInfo {
    return this.#stored(name);
  }

  /** Elements [start, start + count) as float32, flattened; by default all of them. */
  async readFloat32(name: string, start = 0, count?: number): Promise<Float32Array<ArrayBuffer>> {
    const tensor = this.#stored(name);
    const size = elementsOf(tensor), end = start + (count ?? size - start);
    if (!(0 <= start && start <= end && end <= size)) {
      throw new UserError(
        `${this.path}: tensor ${name}: elements [${start}, ${end}) of ${size} asked for`,
      );
    }
    const values = tensor.interleaved
      ? await this.#readHeads(tensor, start, end)
      : await readElements(tensor, start, end);
    return tensor.offset ? values.map((value) => value - tensor.offset) : values;
  }

  /** tokenizer.json and tokenizer_config.json as Hugging Face would write them. */
  tokenizerFiles(): Map<string, Uint8Array<ArrayBuffer>> {
    return readGgufTokenizer(this.metadata);
  }

  /** Reads all heads in the range and restores the order of their rows. */
  async #readHeads(tensor: Stored, start: number, end: number): Promise<Float32Array<ArrayBuffer>> {
    const { headSize } = this.config;
    const columns = tensor.shape.length === 1 ? 1 : tensor.shape.at(-1)!;
    const head = headSize * columns;
    const first = Math.floor(start / head) * head, last = Math.ceil(end / head) * head;
    const stored = await readElements(tensor, first, last);
    return permuteHeads(stored, { headSize, columns, to: "hf" })
      .subarray(start - first, end - first);
  }

  #stored(name: string): Stored {
    const tensor = this.stored.get(name);
    if (!tensor) {
      const names = [...this.tensors.keys()];
      throw new UserError(
        `${this.path}: has no tensor ${name}`,
        `it has ${names.slice(0, 4).join(", ")}${names.length > 4 ? ", …" : ""}`,
      );
    }
    return tensor;
  }

  /** Closes the files. */
  close(): void {
    for (const file of this.files) file.close();
  }

  /** {@link close}, for `using`. */
  [Symbol.dispose](): void {
    this.close();
  }
}

/** The type of a tensor, checked to lie within the file. */
function checkedType({ name, shape, type: id, start }: GgufTensor, file: FileRange): BlockType {
  const type = BLOCK_TYPES.get(id);
  if (!type) {
    const supported = [...BLOCK_TYPES.values()].map((each) => each.name).join(", ");
    throw new UserError(
      `${file.path}: tensor ${name}: type ${blockTypeName(id)} is not supported`,
      `${supported} are`,
    );
  }
  const columns = shape.at(-1) ?? 0;
  if (shape.length < 1 || shape.length > 2 || columns % type.elements !== 0) {
    throw new UserError(
      `${file.path}: tensor ${name}: must have one or two dimensions, the last a multiple of ` +
        `${type.elements} for ${type.name}, got [${shape.join(", ")}]`,
    );
  }
  const end = start + elementsOf({ shape }) / type.elements * type.bytes;
  if (end > file.size) {
    throw new UserError(
      `${file.path}: tensor ${name} ends at byte ${end}, the file has ${file.size}`,
      "was the download or copy truncated?",
    );
  }
  return type;
}

/** A tensor as Hugging Face has it; an unknown one keeps its name, for the loader to report. */
function storedAs(located: Located, config: LlamaConfig, interleaves: boolean): Stored {
  const { name: own, shape: [rows], type, file } = located, { headSize, normOffset } = config;
  const name = toHfName(own) ?? own, interleaved = interleaves && isQueryOrKey(name);
  if (interleaved && rows % headSize !== 0) {
    throw new UserError(
      `${file.path}: tensor ${own}: ${rows} rows are no whole number of heads of ${headSize}`,
    );
  }
  const offset = isNorm(name) ? normOffset : 0;
  return { ...located, name, dtype: type.name, interleaved, offset };
}

/** Elements [start, end) in file order; reads the whole blocks around them. */
async function readElements(
  { name, file, start: base, type }: Located,
  start: number,
  end: number,
): Promise<Float32Array<ArrayBuffer>> {
  const first = Math.floor(start / type.elements), last = Math.ceil(end / type.elements);
  const bytes = await file.read(base + first * type.bytes, base + last * type.bytes);
  if (bytes.length !== (last - first) * type.bytes) {
    throw new UserError(`${file.path}: tensor ${name}: the file shrank after it was opened`);
  }
  const values = type.decode(bytes), skipped = first * type.elements;
  const whole = skipped === start && values.length === end - start;
  return whole ? values : values.subarray(start - skipped, end - skipped);
}
