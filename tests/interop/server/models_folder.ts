/**
 * A models folder that is not there, as when its disk is not mounted at boot, while one job runs and
 * others wait; then it returns. Nothing fails for good, and every job comes to its end:
 *
 *     deno run -A --lock=tests/deno.lock tests/interop/server/models_folder.ts <folder>
 *       [--checkout DIR] [--seed 1] [--tries 8]
 */
import { parseArgs } from "node:util";
import { join } from "@std/path";
import { randomStream } from "../../../src/data/random.ts";
import { death, endFaults, readFaults, statusFaults, untilQuiet } from "./promises.ts";
import {
  Api,
  CHECKOUT,
  createJob,
  emptyFolder,
  type JobRef,
  pause,
  startServer,
  Tally,
  type TestServer,
  tinyModels,
  uploadData,
} from "./support.ts";

const { values, positionals: [work] } = parseArgs({
  allowPositionals: true,
  options: {
    checkout: { type: "string", default: CHECKOUT },
    seed: { type: "string", default: "1" },
    tries: { type: "string", default: "8" },
  },
});
if (!work) throw new Error("models_folder.ts: give a folder to work in");

const STEPS = 120;
const folder = join(work, "data"), modelsFolder = join(work, "models");
const away = join(work, "models-away");

/** How the folder vanishes: the server then in use. */
const VANISHES: Readonly<Record<string, (server: TestServer) => Promise<TestServer>>> = {
  async "gone at a restart"(server) {
    await server.stop();
    await Deno.rename(modelsFolder, away);
    return await start();
  },
  async "gone after a kill -9"(server) {
    await server.stop("SIGKILL");
    await Deno.rename(modelsFolder, away);
    return await start();
  },
  async "empty at a restart"(server) {
    await server.stop();
    await Deno.rename(modelsFolder, away);
    await Deno.mkdir(modelsFolder);
    return await start();
  },
  async "gone under the server"(server) {
    await Deno.rename(modelsFolder, away);
    return server;
  },
};

const start = () => startServer({ checkout: values.checkout, folder, modelsFolder });

async function attempt(
  vanish: (server: TestServer) => Promise<TestServer>,
  random: () => number,
): Promise<string[]> {
  await emptyFolder(folder);
  await emptyFolder(away);
  await Deno.remove(away);
  await tinyModels(modelsFolder);
  let server = await start(), api = new Api(server.url);
  const files = await uploadData(api), jobs: JobRef[] = [], faults: string[] = [];
  try {
    for (const kind of ["fine_tuning", "fine_tuning", "pretraining", "fine_tuning"] as const) {
      jobs.push(await createJob(api, kind, files, { steps: STEPS }));
    }
    await pause(5000 * random());
    server = await vanish(server);
    api = new Api(server.url);
    await untilQuiet(api, jobs);
    faults.push(...await statusFaults(server, api, jobs), ...await readFaults(api, jobs));
    await Deno.remove(modelsFolder).catch(() => {});
    await Deno.rename(away, modelsFolder);
    faults.push(...await endFaults(api, jobs, STEPS));
  } catch (error) {
    faults.push((error as Error).message);
  }
  const died = await death(server);
  if (died) faults.unshift(died);
  await server.stop("SIGKILL");
  return faults;
}

const tally = new Tally(), kinds = Object.entries(VANISHES);
for (let index = 0; index < Number(values.tries); index++) {
  const [name, vanish] = kinds[index % kinds.length];
  const faults = await attempt(vanish, randomStream(Number(values.seed), index, 0));
  tally.add(`models folder ${name}`, faults);
}
Deno.exit(tally.print() ? 0 : 1);
