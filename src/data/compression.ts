/** Decompression as a stream: a file need not fit in memory. */
import { createReadStream } from "node:fs";
import { Readable, type Transform } from "node:stream";
import { constants, createGunzip, createZstdDecompress } from "node:zlib";
import unbzip2 from "../packages/unbzip2.ts";
import { UserError } from "../options/user_error.ts";
import { zstdFrames } from "./zstd_frames.ts";

/** A compression that data files may have. */
export type Compression = "gzip" | "zstd" | "bzip2";

/** By the ending of a name. */
export const COMPRESSIONS: Readonly<Record<string, Compression>> = {
  ".gz": "gzip",
  ".zst": "zstd",
  ".bz2": "bzip2",
};

/** By the first bytes of a file. */
export function compressionOf(head: Uint8Array): Compression | undefined {
  const begins = (...bytes: number[]) => bytes.every((byte, at) => head[at] === byte);
  if (begins(0x1f, 0x8b)) return "gzip";
  if (begins(0x28, 0xb5, 0x2f, 0xfd)) return "zstd";
  if (begins(0x42, 0x5a, 0x68) && head[3] >= 0x31 && head[3] <= 0x39) return "bzip2"; // BZh1 to BZh9
}

/** The decompressed bytes. Several members, frames or streams in one file are read as one. */
export async function* unpacked(
  path: string,
  compression: Compression,
  label: string,
): AsyncGenerator<Uint8Array> {
  const input = createReadStream(path, { highWaterMark: 1 << 18 });
  try {
    yield* UNPACK[compression](input);
  } catch (error) {
    if ((error as { code?: unknown }).code === "ENOENT") throw error;
    throw new UserError(
      `${label}: the ${compression} data is cut short or damaged: ${(error as Error).message}`,
      "was the file copied or downloaded completely?",
    );
  } finally {
    input.destroy();
  }
}

const UNPACK: Record<Compression, (input: Readable) => AsyncIterable<Uint8Array>> = {
  gzip: (input) => through(input, createGunzip()),
  bzip2: unpackedBzip2,
  // Deno's decoder ends after the first frame, and does not notice when that is incomplete.
  zstd: async function* (input) {
    for await (const frame of zstdFrames(input)) {
      yield* through(
        Readable.from(frame, { objectMode: false }),
        createZstdDecompress(LONG_WINDOWS),
      );
    }
  },
};

/** `zstd --long=31` is the most that its command line writes. */
const LONG_WINDOWS = { params: { [constants.ZSTD_d_windowLogMax]: 31 } };

/** Unlike pipe alone, ends with the input's error. */
function through(input: Readable, decoder: Transform): AsyncIterable<Uint8Array> {
  input.on("error", (error) => decoder.destroy(error));
  return input.pipe(decoder);
}

/** The package has streams of Node's oldest kind, which work within the call of `write`. */
async function* unpackedBzip2(input: Readable): AsyncGenerator<Uint8Array> {
  const decoder = unbzip2(), blocks: Uint8Array[] = [], errors: Error[] = [];
  decoder.on("data", (block: Uint8Array) => blocks.push(block));
  decoder.on("error", (error: Error) => errors.push(error));
  const decoded = () => {
    if (errors.length > 0) throw errors[0];
    return blocks.splice(0);
  };
  for await (const chunk of input) {
    decoder.write(chunk);
    yield* decoded();
  }
  decoder.end();
  yield* decoded();
}
