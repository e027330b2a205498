/** Whether all ranks are about to do the same run, asked before its first step. */
import { createHash } from "node:crypto";
import type { Gpu } from "../gpu/gpu.ts";
import { joinPhrases, option, type Phrase, phrase } from "../options/phrase.ts";
import { UserError } from "../options/user_error.ts";
import { gatherText, type Ranks, ranksText } from "../parallel/ranks.ts";
import { VERSION } from "../product.ts";
import type { OpenRun } from "./open_run.ts";
import { outerRates } from "./local_run.ts";
import { identity, identityOf, leavesOf, named } from "./run_identity.ts";

/** What must be the same, by its name: parts of the identity, options, or words for people. */
type Marks = Readonly<Record<string, string>>;

/** Differences that an error names. */
const NAMED = 6;

/** Throws a {@link UserError} unless all ranks have opened the same run. */
export async function assertSameRun(gpu: Gpu, run: OpenRun, ranks: Ranks): Promise<void> {
  const marks = { ...machineMarks(gpu), ...runMarks(run) };
  const all = await gatherText(ranks, JSON.stringify(marks));
  assertSame(all.map((text) => JSON.parse(text)));
}

/** Throws a {@link UserError} that names what each rank has otherwise than rank 0, and both values. */
export function assertSame(marks: readonly Marks[]): void {
  const [first] = marks, names = Object.keys(Object.assign({}, ...marks));
  const differing = names.flatMap((name) => {
    const ranks = marks.flatMap((own, rank) => own[name] === first[name] ? [] : [rank]);
    if (!ranks.length) return [];
    const [theirs, ours] = [marks[ranks[0]], first].map((own) => own[name] ?? "not set");
    const on = ranksText(ranks);
    return [
      theirs.startsWith(HASH)
        ? phrase`${markName(name)} of ${on} is not that of rank 0`
        : phrase`${markName(name)} is ${theirs} on ${on}, ${ours} on rank 0`,
    ];
  });
  if (!differing.length) return;
  const more = differing.length - NAMED;
  throw new UserError(
    phrase`the processes would not train one model: ${
      joinPhrases(differing.slice(0, NAMED), "; ")
    }${more > 0 ? `; and ${more} more` : ""}`,
    "give all of them the same release, options, files and kind of card",
  );
}

function machineMarks({ adapter, capabilities }: Gpu): Marks {
  const { software, limits, features, subgroupSize, timed } = capabilities;
  return {
    "the release": VERSION,
    Deno: `${Deno.version.deno} for ${Deno.build.target}`,
    ...leavesOf(adapter, "the card's"),
    ...leavesOf({ software, limits, features: features.toSorted(), subgroupSize }, "the device's"),
    "the choice of kernels": hashed(timed ?? {}),
  };
}

function runMarks({ recipe, data, schedule, baseMark, resumed }: OpenRun): Marks {
  const own = identityOf(recipe);
  return {
    ...identity(own, own),
    ...leavesOf({
      communicationDataType: recipe.options.communicationDataType,
      shardStates: recipe.options.shardStates,
      shardWeights: recipe.options.shardWeights,
      ...recipe.rates,
      ...schedule,
      steps: data.steps,
      ...outerRates(recipe.options),
    }),
    data: hashed(data.batches.position()),
    "the base model": hashed(baseMark ?? ""),
    "the checkpoint": resumed ? `of step ${resumed.state.step}` : "none",
  };
}

/** Rates and the schedule have the names of options; the other marks are words, or paths. */
function markName(name: string): Phrase {
  if (/^[a-z]\w*$/.test(name) && name !== "objective") return phrase`${option(name)}`;
  return phrase`${named(name.replace(/^(the \w+'s)\./, "$1 "))}`;
}

/** Of a value that says nothing to people. */
const HASH = "#";

function hashed(value: unknown): string {
  return HASH + createHash("sha256").update(JSON.stringify(value)).digest("hex");
}
