/**
 * What papers say that methods need, for pre-training LLaMA with a vocabulary of 32,000 at the sizes of
 * GaLore's experiments. Estimates are of weights and optimizer states; those of Zhao et al. and Zhang et
 * al. count each number of a state that is not in 8 bits as bfloat16.
 *
 * @module
 */
import type { PresetName } from "../model/config.ts";
import type { MethodName } from "./methods.ts";

/** Where figures are from. */
export interface Paper {
  /** How it is referred to. */
  readonly name: string;
  /** For people to find it. */
  readonly reference: string;
  /**
   * Bytes of its unit. GaLore's table 6 has 0.25 and 0.68 G for the weights of 134.1 and 368.0 million
   * parameters, which are GiB; table 2 of SCALE's paper has 2.21 and 8.04 G for the three numbers of
   * Adam of 368.0 and 1339.1 million, which are 10^9 bytes.
   */
  readonly unit: number;
}

/** By a name for its figures. */
export const PAPERS = {
  galore: {
    name: "GaLore",
    reference: "Zhao et al. 2024, arXiv 2403.03507, tables 2 and 3; measured: table 11, section " +
      "5.5, and its repository's scripts/single_gpu",
    unit: 2 ** 30,
  },
  q_galore: {
    name: "Q-GaLore",
    reference: "Zhang et al. 2024, arXiv 2407.08296, tables 1 and 2; measured: its repository's " +
      "README and scripts/single_gpu",
    unit: 2 ** 30,
  },
  apollo: {
    name: "APOLLO",
    reference: "Zhu et al. 2024, arXiv 2412.05270, table 2",
    unit: 2 ** 30,
  },
  scale: {
    name: "SCALE",
    reference: "Glentis et al. 2025, arXiv 2506.16659, main results",
    unit: 1e9,
  },
} as const satisfies Record<string, Paper>;

/** A key of {@link PAPERS}. */
export type PaperName = keyof typeof PAPERS;

/** Ranks of GaLore's experiments, at which low-rank methods are compared. */
export const PAPER_RANKS: Readonly<Partial<Record<PresetName, number>>> = {
  llama_60m: 128,
  llama_130m: 256,
  llama_350m: 256,
  llama_1b: 512,
  llama_7b: 1024,
};

/** The presets of these experiments. */
export const PAPER_MODELS = Object.keys(PAPER_RANKS) as PresetName[];

/** Figures of one method in one paper, as they are printed there. */
export interface PaperFigures {
  /** Where they are from. */
  readonly paper: PaperName;
  /** Our name of the method. */
  readonly method: MethodName;
  /** By model, in units of the paper. */
  readonly figures: Readonly<Partial<Record<PresetName, string>>>;
  /** Why a method that is counted as elsewhere needs more than they say. */
  readonly less?: string;
}

/** At 60M, 130M, 350M, 1B and 7B, as far as they go. */
const sizes = (...figures: string[]) =>
  Object.fromEntries(figures.map((figure, at) => [PAPER_MODELS[at], figure]));

/** Weights and optimizer states, as papers estimate them. */
export const PAPER_ESTIMATES: readonly PaperFigures[] = [
  { paper: "galore", method: "adamw", figures: sizes("0.36", "0.76", "2.06", "7.80") },
  {
    paper: "galore",
    method: "galore_adamw",
    figures: sizes("0.24", "0.52", "1.22", "4.38"),
    less: "its states at 60M, 0.13 G in table 6, leave 0.008 G for every projection and low-rank " +
      "moment beside Adam's moments of embedding and head; SCALE's paper counts as here",
  },
  { paper: "galore", method: "low_rank", figures: sizes("0.26", "0.54", "1.08", "3.57") },
  { paper: "galore", method: "lora", figures: sizes("0.36", "0.80", "1.76", "6.17") },
  { paper: "galore", method: "relora", figures: sizes("0.36", "0.80", "1.76", "6.17") },
  { paper: "galore", method: "adamw8bit", figures: { llama_7b: "26" } },
  { paper: "galore", method: "galore_adamw8bit", figures: { llama_7b: "18" } },
  {
    paper: "q_galore",
    method: "q_galore_adamw8bit",
    figures: sizes("0.18", "0.39", "0.88", "3.08", "15"),
  },
  {
    paper: "apollo",
    method: "apollo",
    figures: sizes("0.24", "0.52", "1.22", "4.38"),
    less: "they are those of GaLore",
  },
  {
    paper: "apollo",
    method: "apollo_mini",
    figures: sizes("0.12", "0.25", "0.69", "2.60"),
    less:
      "they are those of the weights alone, without Adam's moments of embedding and head; SCALE's " +
      "paper counts them",
  },
  { paper: "scale", method: "adamw", figures: sizes("0.35", "0.81", "2.21", "8.04", "40.43") },
  { paper: "scale", method: "galore_adamw", figures: sizes("0.28", "0.61", "1.59", "4.76") },
  { paper: "scale", method: "apollo", figures: sizes("0.28", "0.61", "1.59", "4.76") },
  {
    paper: "scale",
    method: "apollo_mini",
    figures: sizes("0.25", "0.46", "1.00", "3.20", "14.53"),
    less: "they leave out the moments of norms and of rank 1, which are less than 1%",
  },
  { paper: "scale", method: "scale", figures: sizes("0.15", "0.32", "0.80", "2.81", "13.74") },
  {
    paper: "scale",
    method: "muon",
    figures: sizes("0.23", "0.54", "1.47", "5.36", "26.95"),
    less:
      "its Muon has momentum for embedding and head, too, where ours has Adam's two moments, as " +
      "Muon's author has",
  },
];

/** What a run took, as it was measured. */
export interface MeasuredFigures extends PaperFigures {
  /** Sequences of 256 tokens. */
  readonly batchSize: number;
  /** Whether activations were recomputed. */
  readonly activationCheckpointing: boolean;
}

const ONE_SEQUENCE = { batchSize: 1, activationCheckpointing: false } as const;
const SIXTEEN = { batchSize: 16, activationCheckpointing: true } as const;

/** Peaks of runs that update matrix by matrix, as ours do. */
export const PAPER_MEASURED: readonly MeasuredFigures[] = [
  {
    paper: "galore",
    method: "adamw",
    figures: { llama_1b: "9.63" },
    less: "its weights and moments are bfloat16, ours float32 but for the weights",
    ...ONE_SEQUENCE,
  },
  { paper: "galore", method: "adamw8bit", figures: { llama_1b: "6.93" }, ...ONE_SEQUENCE },
  {
    paper: "galore",
    method: "galore_adamw8bit",
    figures: { llama_1b: "5.63", llama_7b: "22.0" },
    ...ONE_SEQUENCE,
  },
  {
    paper: "galore",
    method: "galore_adamw8bit",
    figures: { llama_7b: "22.8" },
    ...SIXTEEN,
  },
  {
    paper: "q_galore",
    method: "q_galore_adamw8bit",
    figures: { llama_7b: "15.08" },
    ...ONE_SEQUENCE,
  },
  {
    paper: "q_galore",
    method: "q_galore_adamw8bit",
    figures: { llama_7b: "15.26" },
    ...SIXTEEN,
  },
];
