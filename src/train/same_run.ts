/** Whether all ranks are about to do the same run, asked before its first step. */
import { createHash } from "node:crypto";
import { adapterName } from "../gpu/adapter.ts";
import type { Gpu } from "../gpu/gpu.ts";
import { UserError } from "../options/user_error.ts";
import type { Ranks } from "../parallel/ranks.ts";
import { VERSION } from "../product.ts";
import type { OpenRun } from "./open_run.ts";
import { identityOf } from "./run_state.ts";
import { ranksText, Team } from "./team.ts";

/** By its name for people: what must be the same, and how it is told where it is not. */
type Marks = Readonly<Record<string, string>>;

/** The ranks of an open run, if they are several and all have opened the same, down to its states. */
export async function assemble(
  gpu: Gpu,
  run: OpenRun,
  ranks: Ranks | undefined,
): Promise<Team | undefined> {
  if (!ranks || ranks.size === 1) return undefined;
  await assertSameOnAll(gpu, run, ranks);
  const team = new Team(gpu, run.training, ranks);
  await team.compare(run.resumed?.state.step ?? 0);
  return team;
}

/** Throws a {@link UserError} that names the ranks and what they have otherwise than rank 0. */
async function assertSameOnAll(gpu: Gpu, run: OpenRun, ranks: Ranks): Promise<void> {
  const own = JSON.stringify(marksOf(gpu, run));
  const all = (await ranks.gather(new TextEncoder().encode(own)))
    .map((bytes) => JSON.parse(new TextDecoder().decode(bytes)) as Marks);
  const [first, ...others] = all;
  const differing = Object.keys(first).flatMap((name) => {
    const found = others.flatMap((marks, index) => marks[name] === first[name] ? [] : [index + 1]);
    return found.length ? [`${name} of ${ranksText(found)} (${all[found[0]][name]})`] : [];
  });
  if (!differing.length) return;
  throw new UserError(
    `the processes would not train one model: rank 0 has another ${differing.join(", another ")}`,
    "give all of them the same release, options, files and kind of card",
  );
}

function marksOf(
  gpu: Gpu,
  { recipe, training, data, schedule, baseMark, resumed }: OpenRun,
): Marks {
  const { driver, card } = { driver: gpu.adapter.description, card: adapterName(gpu.adapter) };
  return {
    release: VERSION,
    Deno: Deno.version.deno,
    card: driver && driver !== card ? `${card}, ${driver}` : card,
    configuration: hashed([identityOf(recipe), recipe.rates, training.optimizer.shape]),
    schedule: hashed([schedule, data.steps, recipe.options.gradientAccumulation]),
    data: hashed(data.batches.position()),
    "base model": hashed(baseMark ?? ""),
    checkpoint: resumed ? `of step ${resumed.state.step}` : "none",
  };
}

function hashed(value: unknown): string {
  return createHash("sha256").update(JSON.stringify(value)).digest("hex").slice(0, 12);
}
