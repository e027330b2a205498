/** UTF-8 with errors that name the byte. */
import { UserError } from "../options/user_error.ts";

/** The text of bytes, a byte order mark included; throws a {@link NotUtf8} with the first fault. */
export function decodeUtf8(bytes: Uint8Array): string {
  try {
    return DECODER.decode(bytes);
  } catch {
    const at = firstInvalid(bytes);
    throw new NotUtf8(at, bytes[at]);
  }
}

const DECODER = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Bytes that are not UTF-8. */
export class NotUtf8 extends Error {
  constructor(
    /** Index of the first byte that is not UTF-8. */
    readonly at: number,
    readonly byte: number | undefined,
  ) {
    super("is not UTF-8 text");
  }

  /** The error for bytes at `offset` of a file, or of the record at `where` by default. */
  in(where: string, offset?: number): UserError {
    const byte = this.byte === undefined ? "" : ` 0x${this.byte.toString(16).padStart(2, "0")}`;
    const place = offset === undefined ? `offset ${this.at} of it` : `offset ${offset + this.at}`;
    return new UserError(
      `${where}: is not UTF-8 text: byte${byte} at ${place}`,
      "convert it, for example with iconv -f latin1 -t utf-8",
    );
  }
}

/** Where the first character begins that is invalid or cut off. */
function firstInvalid(bytes: Uint8Array): number {
  // The longest prefix that is valid as far as it goes.
  let valid = 0, invalid = bytes.length + 1;
  while (invalid - valid > 1) {
    const middle = (valid + invalid) >> 1;
    if (isValidSoFar(bytes.subarray(0, middle))) valid = middle;
    else invalid = middle;
  }
  for (let at = valid - 1; at >= Math.max(0, valid - 3) && bytes[at] >= 0x80; at--) {
    if (isContinuation(bytes[at])) continue;
    const length = bytes[at] >= 0xf0 ? 4 : bytes[at] >= 0xe0 ? 3 : 2;
    return at + length > valid ? at : valid;
  }
  return valid;
}

function isValidSoFar(bytes: Uint8Array): boolean {
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(bytes, { stream: true });
    return true;
  } catch {
    return false;
  }
}

/** Whether a byte continues a character. */
export function isContinuation(byte: number): boolean {
  return (byte & 0xc0) === 0x80;
}
