/**
 * A disk of 40 MB and 1000 files, a tmpfs, that can be filled to its last byte or its last file.
 * Needs root, on Linux.
 */
import { join } from "@std/path";
import { emptyFolder } from "./support.ts";

/** Milliseconds after which a filler that goes on takes what was freed. */
const AGAIN_MS = 20;

const NOTHING = new Uint8Array();

export class SmallDisk {
  #timer: ReturnType<typeof setInterval> | undefined;

  private constructor(readonly path: string) {}

  static async mount(path: string): Promise<SmallDisk> {
    await emptyFolder(path);
    const { success, stderr } = await new Deno.Command("mount", {
      args: ["-t", "tmpfs", "-o", "size=40m,nr_inodes=1000", "tmpfs", path],
    }).output();
    if (success) {
      const disk = new SmallDisk(path);
      // It is there before the last inode is taken.
      Deno.writeFileSync(disk.#filler, NOTHING);
      return disk;
    }
    const reason = new TextDecoder().decode(stderr).trim();
    throw new Error(`${path}: a tmpfs cannot be mounted there, which needs root: ${reason}`);
  }

  async unmount(): Promise<void> {
    this.empty();
    // Lazily: a training process may still be ending.
    await new Deno.Command("umount", { args: ["-l", this.path] }).output();
  }

  /** Fills the disk, but for some bytes. */
  fill(leave = 0): void {
    using file = Deno.openSync(this.#filler, { append: true });
    for (const block of [new Uint8Array(1 << 20), new Uint8Array(1 << 12), new Uint8Array(1)]) {
      try {
        while (true) file.writeSync(block);
      } catch {
        // No such block has room.
      }
    }
    if (leave) file.truncateSync(Math.max(0, file.statSync().size - leave));
  }

  /** Leaves room for bytes, but for no further file: all inodes are taken. */
  fillInodes(): void {
    Deno.mkdirSync(this.#files, { recursive: true });
    try {
      for (let count = 0;; count++) Deno.writeFileSync(join(this.#files, `${count}`), NOTHING);
    } catch {
      // No more has room.
    }
  }

  /** Fills it, and again whenever something is freed. */
  keepFilling(): void {
    this.fill();
    this.#timer ??= setInterval(() => this.fill(), AGAIN_MS);
  }

  /** What is freed from now on stays free. */
  stopFilling(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** Removes what filled it. */
  empty(): void {
    this.stopFilling();
    Deno.truncateSync(this.#filler);
    try {
      Deno.removeSync(this.#files, { recursive: true });
    } catch {
      // No inodes were taken.
    }
  }

  get #filler(): string {
    return join(this.path, "filler");
  }

  get #files(): string {
    return join(this.path, "files");
  }
}
