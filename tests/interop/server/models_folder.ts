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
import { Attempt } from "./attempt.ts";
import { readFaults, statusFaults, untilQuiet } from "./promises.ts";
import { CHECKOUT, pause, Tally, tinyModels } from "./support.ts";

const { values, positionals: [work] } = parseArgs({
  allowPositionals: true,
  options: {
    checkout: { type: "string", default: CHECKOUT },
    seed: { type: "string", default: "1" },
    tries: { type: "string", default: "8" },
  },
});
if (!work) throw new Error("models_folder.ts: give a folder to work in");

const folder = join(work, "data"), modelsFolder = join(work, "models");
const away = join(work, "models-away");

const KINDS = ["fine_tuning", "fine_tuning", "pretraining", "fine_tuning"] as const;

/** How the folder vanishes. */
const VANISHES: Readonly<Record<string, (attempt: Attempt) => Promise<void>>> = {
  async "gone at a restart"(attempt) {
    await attempt.server.stop();
    await Deno.rename(modelsFolder, away);
    await attempt.restart();
  },
  async "gone after a kill -9"(attempt) {
    await attempt.server.stop("SIGKILL");
    await Deno.rename(modelsFolder, away);
    await attempt.restart();
  },
  async "empty at a restart"(attempt) {
    await attempt.server.stop();
    await Deno.rename(modelsFolder, away);
    await Deno.mkdir(modelsFolder);
    await attempt.restart();
  },
  async "gone under the server"() {
    await Deno.rename(modelsFolder, away);
  },
};

async function vanishAndReturn(attempt: Attempt, vanish: (attempt: Attempt) => Promise<void>) {
  const { jobs, faults } = attempt;
  for (const kind of KINDS) await attempt.start({}, kind);
  await pause(attempt.upTo(5000));
  await vanish(attempt);
  await untilQuiet(attempt.api, jobs);
  faults.push(...await statusFaults(attempt.server, attempt.api, jobs));
  faults.push(...await readFaults(attempt.api, jobs));
  await Deno.remove(modelsFolder).catch(() => {});
  await Deno.rename(away, modelsFolder);
}

const tally = new Tally(), kinds = Object.entries(VANISHES);
for (let index = 0; index < Number(values.tries); index++) {
  const [name, vanish] = kinds[index % kinds.length];
  await Deno.remove(away, { recursive: true }).catch(() => {});
  await tinyModels(modelsFolder);
  const random = randomStream(Number(values.seed), index, 0);
  const setting = { checkout: values.checkout, folder, modelsFolder, random };
  const faults = await Attempt.run(setting, (attempt) => vanishAndReturn(attempt, vanish));
  tally.add(`models folder ${name}`, faults);
}
Deno.exit(tally.print() ? 0 : 1);
