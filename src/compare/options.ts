/** The options of a comparison: those of its runs, and its own in place of a run's method and seed. */
import { z } from "../packages/zod.ts";
import { option, phrase } from "../options/phrase.ts";
import {
  defineOptions,
  described,
  type OptionFields,
  type Options,
  section,
} from "../options/schema.ts";
import { finetuneOptions } from "../train/finetune_options.ts";
import { METHOD_NAMES } from "../train/methods.ts";
import { pretrainOptions } from "../train/options.ts";

/** What the runs of a comparison are. */
export type ComparedKind = "pretrain" | "finetune";

/** A comparison's own options, with the defaults of those that were not given. */
export interface OwnOptions {
  /** Each a method's name, perhaps with options of its own: `adamw:lr=0.002:beta2=0.95`. */
  readonly methods: readonly string[];
  /** Of weights and data: each method is trained with each of them. */
  readonly seeds: readonly number[];
  /** Multiples of each method's usual learning rate to try; a single one is taken for all runs. */
  readonly lrSweep: readonly number[];
  /** Share of the steps for which a rate is tried. */
  readonly lrSweepShare: number;
  /** Where everything goes. */
  readonly output: string;
  /** Delete what an earlier comparison has left there. */
  readonly overwriteOutput: boolean;
}

/** A comparison's options. The others are those of its runs, as they were given. */
export type CompareOptions = OwnOptions & Readonly<Record<string, unknown>>;

/** What is given of them. */
export type CompareInput =
  & Pick<OwnOptions, "methods" | "output">
  & Partial<OwnOptions>
  & Readonly<Record<string, unknown>>;

/** `1,2 3` is three items, from a command line, a file or a program. */
const items = <Item extends z.ZodType>(item: Item) =>
  z.preprocess(
    (value) => {
      if (!Array.isArray(value)) return value;
      return value.flatMap((each) => typeof each === "string" ? each.split(",") : [each])
        .map((each) => typeof each === "string" ? each.trim() : each)
        .filter((each) => each !== "");
    },
    z.array(item).min(1),
  );

const number = (inner: z.ZodNumber) =>
  z.preprocess((value) => typeof value === "string" ? Number(value) : value, inner);

const ownFields = {
  ...section("Comparison", {
    methods: items(z.string().min(1)).describe(
      "training methods to compare, separated by commas; each may have options of its own: " +
        `adamw:lr=0.002:beta2=0.95,galore_adamw:rank=64. They are ${METHOD_NAMES.join(", ")}`,
    ).meta({ value: "a,b,…", type: "array" }),
    seeds: items(number(z.number().int().min(0).max(0xffffffff))).default([1, 2, 3]).describe(
      "seeds of weights, data order and rounding: every method is trained with each",
    ).meta({ value: "1,2,…", derived: "1,2,3" }),
    lrSweep: items(number(z.number().positive())).default([0.5, 1, 2]).meta(described(
      phrase`multiples of a method's usual rate that are tried with the first seed, and the next
        beyond them while the best is the lowest or highest; 1: none is tried. A rate for all
        methods is ${option("lr")}`,
    )).meta({ value: "x,…", derived: "0.5,1,2" }),
    lrSweepShare: z.number().gt(0).max(1).default(0.25).meta(described(
      phrase`share of ${option("steps")} for which a rate is tried`,
    )),
    output: z.string().min(1).describe(
      "folder for the tables and plots, and below it for every run; a comparison that was " +
        "interrupted there continues",
    ).meta({ value: "dir" }),
    overwriteOutput: z.boolean().default(false).meta(described(
      phrase`if ${option("output")} already contains a comparison, delete its runs and start over`,
    )),
  }),
};

/** Options of a run that the comparison itself sets. */
const TAKEN = ["optimizer", "seed", "resume", "preview"];

function compareOptionsOf(run: OptionFields): Options<CompareOptions, CompareInput> {
  const kept = Object.fromEntries(
    Object.entries(run).filter(([name]) => !TAKEN.includes(name) && !(name in ownFields)),
  );
  return defineOptions({ fields: { ...ownFields, ...kept } }) as unknown as Options<
    CompareOptions,
    CompareInput
  >;
}

/** Options of a comparison in pre-training. */
export const comparePretrainOptions: Options<CompareOptions, CompareInput> = compareOptionsOf(
  pretrainOptions.fields,
);

/** Options of a comparison in fine-tuning. */
export const compareFinetuneOptions: Options<CompareOptions, CompareInput> = compareOptionsOf(
  finetuneOptions.fields,
);
