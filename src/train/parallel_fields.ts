/** The options of a run that several processes share, and what they need. */
import { z } from "../packages/zod.ts";
import { option, phrase } from "../options/phrase.ts";
import { described, type Rule, section } from "../options/schema.ts";
import { type Effect, isSet, method, only, type Values } from "./effect.ts";
import { restarts, trainsFactors } from "./method_fields.ts";

/** DiLoCo's (arXiv 2311.08105, section 3). */
const OUTER_LR = 0.7, OUTER_MOMENTUM = 0.9;

/** How many there are, for who plans or starts them. */
export const ranks = z.number().int().min(1).default(1);

export const shardStates = z.boolean().default(false).describe(
  "where an MPI launcher started several processes: each keeps the optimizer states of its share of " +
    "the parameters alone, updates these, and gives the updates to the others (ZeRO); the weights " +
    "are the same bits as without it",
);

export const shardWeights = z.boolean().default(false).meta(described(
  phrase`each process keeps only its share of the layers' matrices as well, and they are gathered when a
    layer runs (FSDP); implies ${option("shardStates", true)}`,
));

/** The outer optimizer's names are those of the paper. */
export const parallelFields = section("Several processes", {
  shardStates,
  shardWeights,
  communicationDataType: z.enum(["float32", "bfloat16"]).default("float32").describe(
    "format in which gradients travel, or what local steps have changed; they are added in float32; " +
      "bfloat16 halves the bytes and rounds each process's part and the sum",
  ),
  localSteps: z.number().int().min(1).optional().describe(
    "steps that each process takes by itself before all meet in an outer step (DiLoCo's H), for " +
      "slow networks: weights are exchanged once in so many steps instead of gradients in each",
  ).meta({ value: "H", derived: "none: gradients are exchanged in every step" }),
  outerLr: z.number().positive().default(OUTER_LR).meta(described(
    phrase`learning rate of the outer step of ${option("localSteps")}`,
  )),
  outerMomentum: z.number().min(0).max(0.9999).default(OUTER_MOMENTUM).meta(described(
    phrase`Nesterov momentum of the outer step of ${option("localSteps")}`,
  )),
});

/** What one process has no use for, each by a value that asks for it. */
const FOR_SEVERAL: readonly (readonly [string, (value: unknown) => boolean, string])[] = [
  ["shardStates", (value) => value === true, "has nothing to share"],
  ["shardWeights", (value) => value === true, "has nothing to share"],
  ["communicationDataType", (value) => value === "bfloat16", "sends nothing"],
  ["localSteps", (value) => value !== undefined, "meets no other"],
];

/** Of these options beside {@link ranks}. */
export const RANK_RULES: readonly Rule[] = [
  ...FOR_SEVERAL.map(([name, asks, why]): Rule => (options) =>
    options.ranks === 1 && asks(options[name])
      ? { option: name, message: phrase`needs ${option("ranks")} above 1: one process ${why}` }
      : undefined
  ),
  ({ accumulatorQuant, ranks, localSteps }) =>
    accumulatorQuant === true && ranks !== 1 && localSteps === undefined
      ? {
        option: "accumulatorQuant",
        message: phrase`goes with one process: with ${
          option("ranks", ranks)
        } gradients are summed in
          float32`,
      }
      : undefined,
];

/** The option by which states are shared. */
const sharding = ({ shardStates }: Values) =>
  option(shardStates === true ? "shardStates" : "shardWeights", true);

/** Of weights that are shared, in every training run and its plan. */
export const SHARDING_EFFECTS: readonly Effect[] = [
  only(
    ["shardWeights"],
    (options) => !trainsFactors(method(options)),
    ({ optimizer }) => `shares the layers' matrices, and ${optimizer} has none`,
  ),
  only(
    ["shardWeights"],
    ({ useDora }) => useDora !== true,
    phrase`gathers a layer as it runs, and ${
      option("useDora", true)
    } needs the lengths of all rows before`,
  ),
];

/** Of these options, in every training run. */
export const PARALLEL_EFFECTS: readonly Effect[] = [
  ...SHARDING_EFFECTS,
  only(
    ["shardWeights"],
    ({ rank }) => rank !== "auto",
    phrase`cannot measure first gradients: give ${option("rank")} a number`,
  ),
  only(
    ["samplePrompt"],
    ({ shardWeights }) => shardWeights !== true,
    phrase`would gather all layers for each token with ${
      option("shardWeights", true)
    }: leave one out`,
  ),
  only(
    ["localSteps"],
    (options) => !restarts(method(options)),
    ({ optimizer }) =>
      `meets in what is trained, and ${optimizer} merges that into weights that do not meet`,
  ),
  only(
    ["localSteps"],
    ({ shardStates, shardWeights }) => shardStates !== true && shardWeights !== true,
    (options) =>
      phrase`gives every process weights and states of its own, and ${
        sharding(options)
      } shares them: give one of them`,
  ),
  only(
    ["communicationDataType"],
    ({ shardStates, shardWeights }) => shardStates !== true && shardWeights !== true,
    (options) => phrase`does not apply to ${sharding(options)}, whose sums are float32`,
  ),
  only(["outerLr", "outerMomentum"], isSet("localSteps"), phrase`needs ${option("localSteps")}`),
];
