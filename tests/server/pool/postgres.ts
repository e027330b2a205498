/** A PostgreSQL of a test's own: an empty folder, a free port, and an end with the test. */
import { join } from "@std/path";
import { findPostgres } from "../../../src/host/find_postgres.ts";
import { until } from "../until.ts";

const BIN = findPostgres();

/** A test that needs it; skipped where it is missing. */
export function postgresTest(name: string, fn: () => Promise<void>): void {
  const skipped = BIN ? "" : " (skipped: PostgreSQL was not found; `deno task setup-postgres`)";
  Deno.test({
    name: name + skipped,
    ignore: !BIN,
    fn,
    sanitizeOps: false,
    sanitizeResources: false,
  });
}

export interface Postgres {
  /** Of an empty database. */
  readonly url: string;
  stop(signal?: Deno.Signal): Promise<void>;
  /** Again, with what it had. */
  start(): Promise<void>;
}

/** Calls `use` with a database that keeps nothing on disk longer than it must. */
export async function withPostgres(use: (postgres: Postgres) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "postgres-" }), owner = ownerOf();
  if (owner) await Deno.chown(folder, owner.uid, owner.gid);
  const data = join(folder, "data"), port = freePort();
  const command = (program: string, args: string[]) =>
    new Deno.Command(join(BIN!, program), {
      args,
      cwd: folder,
      env: { LC_ALL: "C" },
      stdout: "null",
      stderr: "piped",
      ...owner,
    });
  try {
    const made = await command("initdb", ["-D", data, "-A", "trust", "-U", "trainer", "-N"])
      .output();
    if (!made.success) throw new Error(new TextDecoder().decode(made.stderr));
    let server: Deno.ChildProcess | undefined;
    const stop = async (signal: Deno.Signal = "SIGINT") => {
      server?.kill(signal);
      await Promise.all([server?.status, server?.stderr.cancel().catch(() => {})]);
      server = undefined;
    };
    const start = async () => {
      const settings = ["listen_addresses=127.0.0.1", `port=${port}`, "fsync=off"];
      const args = [...settings, `unix_socket_directories=${folder}`].flatMap((
        each,
      ) => ["-c", each]);
      server = command("postgres", ["-D", data, ...args]).spawn();
      await until("PostgreSQL listens", () => isListening(port));
    };
    await start();
    try {
      await use({ url: `postgres://trainer@127.0.0.1:${port}/postgres`, stop, start });
    } finally {
      await stop();
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** It refuses to run as root. */
function ownerOf(): { uid: number; gid: number } | undefined {
  if (Deno.uid() !== 0) return undefined;
  const users = Deno.readTextFileSync("/etc/passwd").split("\n").map((line) => line.split(":"));
  const [, , uid, gid] = users.find(([name]) => name === "postgres" || name === "nobody")!;
  return { uid: Number(uid), gid: Number(gid) };
}

function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

async function isListening(port: number): Promise<boolean> {
  try {
    (await Deno.connect({ hostname: "127.0.0.1", port })).close();
    return true;
  } catch {
    return false;
  }
}
