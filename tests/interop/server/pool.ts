/**
 * A server, PostgreSQL and three workers, two of them elsewhere; twelve jobs; kill -9 of workers and of
 * the server at random moments, until all jobs have ended:
 *
 *     deno run -A --lock=tests/deno.lock tests/interop/server/pool.ts <folder> [kills] [seed]
 *
 * Every job must end with the weights of an undisturbed one, and none twice. Needs PostgreSQL
 * (`deno task setup-postgres`).
 */
import { assert, assertEquals } from "@std/assert";
import { join } from "@std/path";
import { randomStream } from "../../../src/inference/sampling.ts";
import { Jobs } from "../../server/pool/jobs.ts";
import { withPostgres } from "../../server/pool/postgres.ts";
import { startWorker, type TestWorker } from "../../server/pool/support.ts";
import { makeFolders, startServer, type TestServer } from "../../server/support.ts";

const [work, kills = "10", seed = "1"] = Deno.args;
if (!work) throw new Error("pool.ts: give a folder to work in");
const JOBS = 12, NAMES = ["a", "b"];
const random = randomStream(Number(seed));
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

await Deno.mkdir(work, { recursive: true });
const root = await Deno.makeTempDir({ dir: work });
await withPostgres(async ({ url: queue }) => {
  const folders = await makeFolders(root), args = ["--queue", queue, "--lease", "4"];
  let server: TestServer = await startServer({ ...folders, args });
  const { port } = new URL(server.url);
  const workers = new Map<string, TestWorker>();
  const start = async (name: string) => {
    const folder = join(root, name);
    workers.set(name, await startWorker({ name, server: server.url, queue, folder }));
  };
  const killed: Record<string, number> = {
    server: 0,
    ...Object.fromEntries(NAMES.map((n) => [n, 0])),
  };
  try {
    const jobs = await Jobs.prepare(server, 40);
    const undisturbed = await jobs.create();
    await jobs.succeeded(undisturbed);
    const expected = await jobs.weights(undisturbed);
    await Promise.all(NAMES.map(start));
    const ids = [];
    for (let count = 0; count < JOBS; count++) ids.push(await jobs.create());
    for (let kill = 0; kill < Number(kills); kill++) {
      await pause(1000 + 6000 * random());
      const whom = ["server", ...NAMES][Math.floor(3 * random())];
      killed[whom]++;
      if (whom === "server") {
        await server.stop("SIGKILL");
        await pause(3000 * random());
        server = jobs.server = await startServer({ ...folders, args, port: Number(port) });
      } else {
        await workers.get(whom)!.stop("SIGKILL");
        await start(whom);
      }
      const all = await Promise.all(ids.map((id) => jobs.get(id)));
      const ended = all.filter(({ status }) => status === "succeeded").length;
      console.log(`kill -9 of ${whom}; ${ended} of ${JOBS} jobs have ended`);
    }
    let lost = 0, restarts = 0;
    for (const id of ids) {
      await jobs.succeeded(id);
      assertEquals(await jobs.weights(id), expected, `weights of ${id}`);
      const events = await jobs.events(id);
      jobs.assertWhole(events);
      lost += events.filter(({ message }) => /^Worker .* not heard from/.test(message)).length;
      restarts += events.filter(({ message }) => /^The server had stopped/.test(message)).length;
    }
    const who = Object.entries(killed).map(([name, count]) => `${name} ${count}`).join(", ");
    console.log(
      `killed: ${who}; jobs taken from a lost worker: ${lost}, from the server: ${restarts}`,
    );
    console.log(`${JOBS} jobs ended once each, with the weights of an undisturbed one`);
    assert(lost + restarts > 0, "no kill hit a job");
  } catch (error) {
    console.error(server.log());
    for (const { name, log } of workers.values()) console.error(`--- ${name}\n${log()}`);
    throw error;
  } finally {
    for (const worker of workers.values()) await worker.stop("SIGKILL");
    await server.stop("SIGKILL");
  }
});
await Deno.remove(root, { recursive: true });
