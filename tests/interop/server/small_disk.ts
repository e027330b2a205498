/** A disk of 40 MB, a tmpfs, that can be filled to its last byte. Needs root, on Linux. */
import { statfs } from "node:fs/promises";
import { join } from "@std/path";
import { emptyFolder } from "./support.ts";

/** Milliseconds after which a filler that goes on takes what was freed. */
const AGAIN_MS = 20;

export class SmallDisk {
  #timer: ReturnType<typeof setInterval> | undefined;

  private constructor(readonly path: string) {}

  static async mount(path: string): Promise<SmallDisk> {
    await emptyFolder(path);
    const { success, stderr } = await new Deno.Command("mount", {
      args: ["-t", "tmpfs", "-o", "size=40m", "tmpfs", path],
    }).output();
    if (success) return new SmallDisk(path);
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
    using file = Deno.openSync(this.#filler, { create: true, append: true });
    for (const block of [new Uint8Array(1 << 20), new Uint8Array(1 << 12), new Uint8Array(1)]) {
      try {
        while (true) file.writeSync(block);
      } catch {
        // No such block has room.
      }
    }
    if (leave) file.truncateSync(Math.max(0, file.statSync().size - leave));
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
    try {
      Deno.removeSync(this.#filler);
    } catch {
      // Nothing has filled it.
    }
  }

  async freeBytes(): Promise<number> {
    const { bavail, bsize } = await statfs(this.path);
    return bavail * bsize;
  }

  get #filler(): string {
    return join(this.path, "filler");
  }
}
