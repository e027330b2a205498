/** The frames of a zstd file, by the lengths in their headers (RFC 8878, section 3). */

const MAGIC = 0xfd2fb528, SKIPPABLE = 0x184d2a50;

/** Bytes of the fields in a frame's header, by their flags in its descriptor. */
const DICTIONARY_BYTES = [0, 1, 2, 4], SIZE_BYTES = [0, 2, 4, 8];

const RLE = 1;

/**
 * Each frame as the stream of its bytes, which must be read before the next. Throws if the file
 * ends within a frame.
 */
export async function* zstdFrames(
  input: AsyncIterable<Uint8Array>,
): AsyncGenerator<AsyncGenerator<Uint8Array>> {
  const bytes = new ByteReader(input);
  while (await bytes.more()) {
    const start = await bytes.take(4), magic = uint(start);
    if (magic >= SKIPPABLE && magic < SKIPPABLE + 16) {
      for await (const _ of bytes.pieces(uint(await bytes.take(4))));
    } else if (magic === MAGIC) {
      yield frameAfter(start, bytes);
    } else throw new Error("what follows is no zstd frame");
  }
}

async function* frameAfter(magic: Uint8Array, bytes: ByteReader): AsyncGenerator<Uint8Array> {
  yield magic;
  const descriptor = await bytes.take(1);
  yield descriptor;
  const [flags] = descriptor, single = (flags >> 5) & 1, sizeFlag = flags >> 6;
  const window = 1 - single, size = sizeFlag === 0 ? single : SIZE_BYTES[sizeFlag];
  yield await bytes.take(window + DICTIONARY_BYTES[flags & 3] + size);
  for (let last = 0; !last;) {
    const header = await bytes.take(3), fields = uint(header);
    yield header;
    last = fields & 1;
    yield* bytes.pieces(((fields >> 1) & 3) === RLE ? 1 : fields >> 3);
  }
  if ((flags >> 2) & 1) yield await bytes.take(4); // the checksum
}

/** Little-endian. */
function uint(bytes: Uint8Array): number {
  return bytes.reduce((sum, byte, at) => sum + byte * 2 ** (8 * at), 0);
}

/** Takes counted bytes from a stream of chunks. */
class ByteReader {
  #held = new Uint8Array();
  readonly #chunks: AsyncIterator<Uint8Array>;

  constructor(input: AsyncIterable<Uint8Array>) {
    this.#chunks = input[Symbol.asyncIterator]();
  }

  /** Whether any byte is left. */
  async more(): Promise<boolean> {
    while (this.#held.length === 0) {
      const { done, value } = await this.#chunks.next();
      if (done) return false;
      this.#held = new Uint8Array(value.buffer as ArrayBuffer, value.byteOffset, value.length);
    }
    return true;
  }

  async take(count: number): Promise<Uint8Array> {
    const taken = new Uint8Array(count);
    let at = 0;
    for await (const piece of this.pieces(count)) {
      taken.set(piece, at);
      at += piece.length;
    }
    return taken;
  }

  async *pieces(count: number): AsyncGenerator<Uint8Array> {
    while (count > 0) {
      if (!await this.more()) throw new Error("unexpected end of file");
      const piece = this.#held.subarray(0, count);
      this.#held = this.#held.subarray(piece.length);
      count -= piece.length;
      yield piece;
    }
  }
}
