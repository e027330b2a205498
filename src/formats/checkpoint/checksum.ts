/**
 * The checksum of a checkpoint's entry: CRC-32, as in zip archives, against damage and not against
 * forgery. SHA-256, which earlier versions wrote, caps what one core can save near 1 GB/s.
 */
import { createHash } from "node:crypto";
import { crc32 } from "node:zlib";

/** What a manifest says of an entry's bytes, in hexadecimal digits. */
export type Checksum = { readonly crc32: string } | { readonly sha256: string };

/** A checksum of bytes that arrive in pieces. */
export interface Checking {
  /** For messages. */
  readonly name: string;
  update(bytes: Uint8Array): void;
  digest(): string;
}

export class Crc32 implements Checking {
  readonly name = "CRC-32";
  #value = 0;

  update(bytes: Uint8Array): void {
    this.#value = crc32(bytes, this.#value);
  }

  digest(): string {
    return this.#value.toString(16).padStart(8, "0");
  }
}

/** One of the kind that was written, and what it must come to. */
export function checkingOf(checksum: Checksum): { checking: Checking; expected: string } {
  if ("crc32" in checksum) return { checking: new Crc32(), expected: checksum.crc32 };
  const hash = createHash("sha256");
  return {
    checking: {
      name: "SHA-256",
      update: (bytes) => void hash.update(bytes),
      digest: () => hash.digest("hex"),
    },
    expected: checksum.sha256,
  };
}
