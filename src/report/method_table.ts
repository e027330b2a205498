/** Every method's memory beside what papers say, as a table and as a chart. */
import type { BarChart } from "../plot/chart.ts";
import { PURPOSES } from "../gpu/tensor.ts";
import { runMemoryOfCard } from "../train/gpu_memory.ts";
import type { BesidePaper, MethodMemory } from "../train/method_memory.ts";
import { type PaperName, PAPERS } from "../train/paper_figures.ts";

/** Cards that people have, in GiB. */
export const CARDS: readonly number[] = [8, 12, 16, 24];

const PAPER_NAMES = Object.keys(PAPERS) as PaperName[];
const GIB = 2 ** 30;

/** A table of texts; columns after the first are numbers. */
interface TextTable {
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** The smallest of {@link CARDS} that a run fits. */
export function smallestCard({ plan }: Pick<MethodMemory, "plan">): number | undefined {
  return CARDS.find((card) => plan.allocatedBytes <= runMemoryOfCard(card));
}

/**
 * A row each, in GiB; a figure of a paper has its number, and a star if ours as papers count is above
 * it. What is stored has a star if it is above one of them.
 */
export function methodTable(methods: readonly MethodMemory[]): TextTable {
  return {
    head: ["", "rank", "stored", "counted", "papers", "peak", "measured", "card"],
    rows: methods.map((method) => {
      const { rank, storedBytes, countedBytes, plan, estimates, measured } = method;
      const card = smallestCard(method);
      return [
        method.pretrains ? method.method : `${method.method} (fine-tuning)`,
        rank === undefined ? "" : `${rank}`,
        gibibytes(storedBytes) + star(estimates.every(({ storedAtMost }) => storedAtMost)),
        gibibytes(countedBytes),
        estimates.map(figureText).join(", "),
        gibibytes(plan.plannedPeakBytes),
        measured.map(figureText).join(", "),
        card === undefined ? "-" : `${card} GB`,
      ];
    }),
  };
}

/** What the columns and numbers of {@link methodTable} mean. */
export function methodNotes(methods: readonly MethodMemory[]): string[] {
  const all = methods.flatMap(({ method, estimates, measured }) =>
    [...estimates, ...measured].map((figure) => ({ ...figure, method }))
  );
  const reasons = all.flatMap(({ paper, method, less }) =>
    less === undefined ? [] : [`* ${method}, above ${numberOf(paper)}: ${less}`]
  );
  return [
    "GiB. stored: weights, projections and optimizer states; counted: the same with bfloat16 where " +
    "this program has float32, as papers count; card: the smallest that the peak fits",
    ...all.some(({ storedAtMost }) => storedAtMost === false)
      ? ["* stored, above papers: no run of this program has what is float32 in bfloat16"]
      : [],
    ...PAPER_NAMES.filter((name) => all.some(({ paper }) => paper === name)).map((name) => {
      const { name: title, reference, unit } = PAPERS[name];
      return `${numberOf(name)} ${title}: ${reference}${unit === GIB ? "" : "; 10^9 bytes there"}`;
    }),
    ...new Set(reasons),
  ];
}

function figureText({ paper, bytes, figure, atMost }: BesidePaper): string {
  // As it is printed, where that is in the same unit.
  const text = PAPERS[paper].unit === GIB ? figure : gibibytes(bytes);
  return `${text} ${numberOf(paper)}${star(atMost)}`;
}

const star = (atMost: boolean) => atMost ? "" : "*";

const numberOf = (paper: PaperName) => `[${PAPER_NAMES.indexOf(paper) + 1}]`;
const gibibytes = (bytes: number) => (bytes / GIB).toFixed(bytes >= 9.995 * GIB ? 1 : 2);

/** A bar for each method by purpose, and for each figure of a paper. */
export function methodChart(title: string, methods: readonly MethodMemory[]): BarChart {
  const parts = PURPOSES.map((purpose) => purpose.replaceAll("_", " "));
  const figure = (method: string, { paper, bytes }: BesidePaper) => ({
    name: `${method} ${numberOf(paper)}`,
    values: [...parts.map(() => 0), bytes / GIB],
    label: gibibytes(bytes),
  });
  const cited = PAPER_NAMES.filter((name) =>
    methods.some(({ estimates, measured }) =>
      [...estimates, ...measured].some(({ paper }) => paper === name)
    )
  );
  const papers = cited.map((name) => `${numberOf(name)} ${PAPERS[name].name}`).join(", ");
  return {
    type: "bars",
    title,
    x: { title: "GiB" },
    parts: [
      ...parts,
      ...cited.length ? [`weights and states, or measured, in papers: ${papers}`] : [],
    ],
    bars: methods.flatMap(({ method, pretrains, plan, estimates, measured }) => [
      {
        name: pretrains ? method : `${method} (fine-tuning)`,
        values: PURPOSES.map((purpose) => plan.byPurpose[purpose] / GIB),
        label: gibibytes(plan.plannedPeakBytes),
      },
      ...estimates.map((each) => figure(method, each)),
      ...measured.map((each) => figure(`${method}, as measured in`, each)),
    ]),
  };
}
