import { assert, assertEquals, assertRejects } from "@std/assert";
import { join } from "@std/path";
import { assertNotLocked, FolderLock } from "../../src/files/folder_lock.ts";
import { UserError } from "../../src/options/user_error.ts";

const HOLD = `
  const { FolderLock } = await import(Deno.args[0]);
  await FolderLock.take(Deno.args[1]);
  console.log("held");
  await new Promise((resolve) => setTimeout(resolve, 60_000));
`;

/** A process that holds the lock until it is killed. */
async function holder(folder: string): Promise<Deno.ChildProcess> {
  const script = join(folder, "hold.ts");
  await Deno.writeTextFile(script, HOLD);
  const lock = import.meta.resolve("../../src/files/folder_lock.ts");
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", script, lock, folder],
    stdout: "piped",
  }).spawn();
  const reader = child.stdout.getReader();
  await reader.read();
  await reader.cancel();
  return child;
}

async function inFolder(run: (folder: string) => Promise<void>) {
  const folder = await Deno.makeTempDir();
  try {
    await run(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const names = (folder: string) => [...Deno.readDirSync(folder)].map(({ name }) => name);

Deno.test("a lock names its process, and goes with it even at kill -9", () =>
  inFolder(async (folder) => {
    const child = await holder(folder);
    const error = await assertRejects(() => FolderLock.take(folder), UserError);
    const text = new RegExp(
      `^${folder} is in use: process ${child.pid} has been writing there since \\d{4}-\\d\\d-\\d\\d`,
    );
    assert(text.test(error.message), error.message);
    assertEquals(
      error.hint,
      `wait until it has ended, stop it (kill ${child.pid}), or choose another folder`,
    );
    const below = join(folder, "model");
    await assertRejects(() => assertNotLocked(folder), UserError, `process ${child.pid}`);
    await assertRejects(() => assertNotLocked(below), UserError, `${folder} is in use`);
    child.kill("SIGKILL");
    await child.status;
    await assertNotLocked(below);
    using _ = await FolderLock.take(folder);
  }));

Deno.test("one process has one lock on a folder, which leaves nothing behind", () =>
  inFolder(async (folder) => {
    const lock = await FolderLock.take(folder);
    assert(lock.holds);
    await assertRejects(() => FolderLock.take(folder), UserError, "this process already writes");
    lock.release();
    lock.release();
    assertEquals(names(folder), []);
    (await FolderLock.take(folder)).release();
  }));

Deno.test("a holder of another host with this process's number is another one", () =>
  inFolder(async (folder) => {
    using _ = await FolderLock.take(folder);
    const since = new Date(2026, 10, 27, 6, 30, 5).toISOString();
    const there = { pid: Deno.pid, host: "another-host", since };
    await Deno.writeTextFile(join(folder, ".lock.json"), JSON.stringify(there));
    await assertRejects(
      () => FolderLock.take(folder),
      UserError,
      `process ${Deno.pid} on another-host has been writing there since 2026-11-27 06:30:05`,
    );
    await Deno.writeTextFile(join(folder, ".lock.json"), "{");
    await assertRejects(() => FolderLock.take(folder), UserError, "another process writes there");
  }));
