/** Concurrent reads of byte ranges of a file. */

/** A file opened for ranged reads; each seek and read is atomic with respect to others. */
export class FileRange {
  #turn: Promise<unknown> = Promise.resolve();

  private constructor(readonly path: string, readonly size: number, readonly file: Deno.FsFile) {}

  static async open(path: string): Promise<FileRange> {
    const file = await Deno.open(path);
    const { size } = await file.stat();
    return new FileRange(path, size, file);
  }

  /** Bytes [start, end); fewer if the file ends earlier. */
  read(start: number, end: number): Promise<Uint8Array<ArrayBuffer>> {
    const result = this.#turn.then(() => this.#read(start, end));
    this.#turn = result.catch(() => {});
    return result;
  }

  async #read(start: number, end: number): Promise<Uint8Array<ArrayBuffer>> {
    const bytes = new Uint8Array(Math.max(0, Math.min(end, this.size) - start));
    await this.file.seek(start, Deno.SeekMode.Start);
    let filled = 0;
    while (filled < bytes.length) {
      const count = await this.file.read(bytes.subarray(filled));
      if (count === null) return bytes.subarray(0, filled);
      filled += count;
    }
    return bytes;
  }

  close(): void {
    this.file.close();
  }
}
