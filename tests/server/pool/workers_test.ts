/**
 * Workers as processes, a PostgreSQL, and kill -9: every job ends with the weights of an undisturbed
 * one. `tests/interop/server/pool.ts` does more of it.
 */
import { assert, assertEquals } from "@std/assert";
import { join } from "@std/path";
import { makeFolders, startServer } from "../support.ts";
import { Jobs } from "./jobs.ts";
import { type Postgres, postgresTest, withPostgres } from "./postgres.ts";
import { startWorker, type TestWorker } from "./support.ts";

/** So many that no job ends between its first checkpoint, of step 4, and the signal that it sets off. */
const STEPS = 40;

async function disturbed(jobs: Jobs, { url: queue }: Postgres, root: string): Promise<void> {
  const { server } = jobs, workers: TestWorker[] = [];
  const start = async (name: string) => {
    const folder = join(root, name);
    await Deno.mkdir(folder);
    const permissions = permissionsFor(folder, "hostname");
    const worker = await startWorker({ name, server: server.url, queue, folder, permissions });
    workers.push(worker);
    return worker;
  };
  try {
    const [a, b] = await Promise.all([start("a"), start("b")]);
    const ids: string[] = [];
    for (let count = 0; count < 3; count++) ids.push(await jobs.create());
    // One is lost, one is stopped; the server's own worker stays, and then goes on with both.
    const disturb = async (worker: TestWorker, signal: Deno.Signal) => {
      const id = await jobs.onWorker(`${worker.name}-1`, ids);
      return { id, code: await worker.stop(signal) };
    };
    const [{ id: lost }, { id: left, code }] = await Promise.all([
      disturb(a, "SIGKILL"),
      disturb(b, "SIGTERM"),
    ]);
    assertEquals(code, 130);
    const [undisturbed] = ids.filter((id) => id !== lost && id !== left);
    await jobs.succeeded(undisturbed);
    const expected = await jobs.weights(undisturbed);
    for (const id of ids) {
      await jobs.succeeded(id);
      assertEquals(await jobs.weights(id), expected);
      const events = await jobs.events(id);
      jobs.assertWhole(events);
      const goesOn = events.some(({ message }) => / continues from /.test(message));
      assertEquals(goesOn, id !== undisturbed);
    }
    const tells = async (id: string, what: RegExp) =>
      assert((await jobs.events(id)).some(({ message }) => what.test(message)), `${id}: ${what}`);
    const further = "the job continues from the checkpoint of step \\d+$";
    await tells(lost, new RegExp(`^Worker a-1 was not heard from for 2 s; ${further}`));
    await tells(left, new RegExp(`^Worker b-1 was stopped; ${further}`));
    const { data } = await (await fetch(`${server.url}/v1/workers`)).json();
    const listed = data.map(({ id, job }: Record<string, string | null>) => [id, job]);
    assertEquals(listed[0], ["server-1", null]);
  } catch (error) {
    for (const { name, log } of workers) console.error(`--- log of ${name} ---\n${log()}`);
    throw error;
  } finally {
    for (const worker of workers) await worker.stop("SIGKILL");
  }
}

/** Those of docs/server.md. */
function permissionsFor(folder: string, sys: string): string[] {
  return [
    "--allow-net=127.0.0.1",
    `--allow-read=${folder}`,
    `--allow-write=${folder}`,
    `--allow-run=${Deno.execPath()}`,
    "--allow-env=PG*",
    `--allow-sys=${sys}`,
  ];
}

const NAME = "two workers, one killed and one stopped: the same weights, no job twice";

postgresTest(NAME, async () => {
  const root = await Deno.makeTempDir();
  try {
    await withPostgres(async (postgres) => {
      const server = await startServer({
        ...await makeFolders(root),
        args: ["--queue", postgres.url, "--lease", "2"],
        permissions: permissionsFor(root, "statfs,systemMemoryInfo"),
      });
      try {
        await disturbed(await Jobs.prepare(server, STEPS), postgres, root);
      } catch (error) {
        console.error(`--- log of the server ---\n${server.log()}`);
        throw error;
      } finally {
        await server.stop("SIGKILL");
      }
    });
  } finally {
    await Deno.remove(root, { recursive: true });
  }
});
