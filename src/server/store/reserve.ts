/**
 * Disk space held for the database: a file of no content that is removed when a write finds the disk
 * full, so that the server can still record what it has to stop, and delete what is not needed.
 */

/** Bytes, unless a small disk makes that too large a share. */
const BYTES = 8 * 2 ** 20, SHARE_OF_DISK = 1 / 32;
const PIECE = 2 ** 16; // what one call for random bytes gives

export class Reserve {
  /** In the data folder. */
  static readonly NAME = "server.reserve";

  constructor(readonly path: string) {}

  /** What it takes now; nothing where somebody has put something else in its place. */
  get bytes(): number {
    try {
      const { isFile, size } = Deno.lstatSync(this.path);
      return isFile ? size : 0;
    } catch {
      // It has been given up.
      return 0;
    }
  }

  /** Gives the space up; false if there was none to give. */
  release(): boolean {
    try {
      const { bytes } = this;
      Deno.removeSync(this.path);
      return bytes > 0;
    } catch {
      // It has been given up already, or the disk does not let go of it.
      return false;
    }
  }

  /** Takes the space, again if it was given up, where the disk has `left` bytes that nobody needs. */
  async keep({ left, diskBytes }: { readonly left: number; readonly diskBytes: number }) {
    const wanted = Math.min(BYTES, Math.floor(diskBytes * SHARE_OF_DISK / PIECE) * PIECE);
    if (this.bytes >= wanted || left < wanted) return;
    // What a link points to is not this server's to write over.
    this.release();
    try {
      using file = await Deno.open(this.path, { write: true, createNew: true, mode: 0o600 });
      // Random: file systems that compress, or store zeros as holes, would hold nothing.
      for (let bytes = 0; bytes < wanted; bytes += PIECE) {
        for (let piece = crypto.getRandomValues(new Uint8Array(PIECE)); piece.length;) {
          piece = piece.subarray(await file.write(piece));
        }
      }
    } catch {
      // The disk has filled meanwhile: it needs the space more.
      this.release();
    }
  }
}
