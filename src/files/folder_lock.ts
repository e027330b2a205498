/**
 * Locks on folders that a process writes to for long: a lock of the operating system on a file in
 * the folder. It goes with its process however that ends, so none is ever stale, whatever host or
 * container the process was on, and none has to be removed by hand.
 */
import { dirname, join, resolve } from "../packages/std_path.ts";
import { UserError } from "../options/user_error.ts";

const LOCK_FILE = ".lock";
/** Who holds the lock. Beside the lock: Windows lets nobody else read a locked file. */
const HOLDER_FILE = ".lock.json";

interface Holder {
  readonly pid: number;
  readonly host?: string;
  /** ISO 8601. */
  readonly since: string;
}

/** A folder that no other process, and nobody else in this one, may write to. */
export class FolderLock implements Disposable {
  #file: Deno.FsFile | undefined;

  private constructor(readonly folder: string, file: Deno.FsFile | undefined) {
    this.#file = file;
  }

  /**
   * Locks an existing folder. Throws a {@link UserError} that names the holder if it is locked. On a
   * file system without locks it succeeds, and {@link holds} is false.
   */
  static async take(folder: string): Promise<FolderLock> {
    const path = join(folder, LOCK_FILE);
    while (true) {
      const file = await Deno.open(path, { write: true, create: true });
      const locked = await file.tryLock(true).catch(() => undefined);
      if (locked === undefined) {
        file.close();
        return new FolderLock(folder, undefined);
      }
      if (!locked) {
        file.close();
        throw await inUse(folder);
      }
      // The holder before may have removed the file between the two calls.
      if (await isAt(file, path)) {
        const lock = new FolderLock(folder, file);
        const text = JSON.stringify(holder()) + "\n";
        // A full disk must not keep anyone from resuming; a lock without its holder is one too.
        await Deno.writeTextFile(join(folder, HOLDER_FILE), text).catch(() => {});
        return lock;
      }
      file.close();
    }
  }

  /** Whether others are kept out. */
  get holds(): boolean {
    return this.#file !== undefined;
  }

  /** Unlocks the folder and removes the traces of the lock. */
  release(): void {
    if (!this.#file) return;
    removeIfThere(join(this.folder, HOLDER_FILE));
    // Windows keeps the name of a removed file in use until all its handles are closed.
    if (Deno.build.os !== "windows") removeIfThere(join(this.folder, LOCK_FILE));
    this.#file.close();
    this.#file = undefined;
  }

  /** {@link release}, for `using`. */
  [Symbol.dispose](): void {
    this.release();
  }
}

/** Throws a {@link UserError} if a folder, or the one that it is in, is locked. */
export async function assertNotLocked(folder: string): Promise<void> {
  for (const each of [folder, dirname(resolve(folder))]) {
    const file = await Deno.open(join(each, LOCK_FILE), { write: true }).catch(() => undefined);
    if (!file) continue;
    try {
      if (await file.tryLock(true).catch(() => true)) continue;
    } finally {
      file.close();
    }
    throw await inUse(each);
  }
}

async function inUse(folder: string): Promise<UserError> {
  const found: Holder | undefined = await Deno.readTextFile(join(folder, HOLDER_FILE))
    .then(JSON.parse).catch(() => undefined);
  const { host } = holder();
  const elsewhere = found?.host && host && found.host !== host;
  if (found?.pid === Deno.pid && !elsewhere) {
    return new UserError(
      `${folder} is in use: this process already writes there`,
      "end that run first, or choose another folder",
    );
  }
  const who = found
    ? `process ${found.pid}${elsewhere ? ` on ${found.host}` : ""} has been writing there since ${
      new Date(found.since).toLocaleString("sv")
    }`
    : "another process writes there";
  return new UserError(
    `${folder} is in use: ${who}`,
    `wait until it has ended, ${
      found ? `stop it (${stopping(found)}), ` : ""
    }or choose another folder`,
  );
}

function stopping({ pid }: Holder): string {
  return Deno.build.os === "windows" ? `Ctrl-C where it runs` : `kill ${pid}`;
}

function holder(): Holder {
  return { pid: Deno.pid, host: hostName(), since: new Date().toISOString() };
}

/** Without asking for a permission that was not given. */
function hostName(): string | undefined {
  const { state } = Deno.permissions.querySync({ name: "sys", kind: "hostname" });
  return state === "granted" ? Deno.hostname() : undefined;
}

async function isAt(file: Deno.FsFile, path: string): Promise<boolean> {
  const there = await Deno.stat(path).catch(() => undefined);
  return there !== undefined && there.ino === (await file.stat()).ino;
}

function removeIfThere(path: string): void {
  try {
    Deno.removeSync(path);
  } catch {
    // On a file system that has become read-only the rest of an unlocked lock is harmless.
  }
}
