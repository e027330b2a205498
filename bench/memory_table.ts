/**
 * The memory of pre-training, for docs/memory.md: `deno task memory-table` writes it there. Every method
 * beside papers' figures; and by purpose, with each option of src/train/savings.ts alone, and all
 * together, at the ranks of the GaLore paper, a quarter of the width.
 *
 * @module
 */
import { CONSUMER_CARD } from "../src/gpu/capabilities.ts";
import { PURPOSES } from "../src/gpu/tensor.ts";
import { type PresetName, PRESETS } from "../src/model/config.ts";
import { drawChart } from "../src/plot/draw.ts";
import { code, markdownTable, plain } from "../src/report/markdown.ts";
import { methodChart, methodNotes, methodTable } from "../src/report/method_table.ts";
import { methodMemory } from "../src/train/method_memory.ts";
import { PAPER_MODELS } from "../src/train/paper_figures.ts";
import { settings, spell } from "../src/options/phrase.ts";
import { FLAGS } from "../src/options/spelling.ts";
import { fromFileUrl } from "../src/packages/std_path.ts";
import type { MemoryPlan } from "../src/train/plan.ts";
import { rankOf } from "../src/train/presets.ts";
import { SAVINGS } from "../src/train/savings.ts";
import { Sizing, type Values } from "../src/train/sizing.ts";

const MODELS: readonly PresetName[] = ["llama_1b", "llama_3b", "llama_7b"];
const BATCHES = [1, 16], LENGTH = 256;
const OPTIMIZER = "q_galore_adamw8bit";

const CHART = "images/memory-llama_7b.svg";

/** What stands between these marks in the document, by their name. */
const PARTS: Readonly<Record<string, () => string>> = {
  methods: methodTables,
  purposes: () =>
    MODELS.flatMap((model) => BATCHES.map((batch) => memoryTable(model, batch))).join("\n\n"),
};

/** One table a model of the papers, and what its columns mean. */
function methodTables(): string {
  const all = PAPER_MODELS.map((model) =>
    [model, methodMemory(PRESETS[model], { model })] as const
  );
  return [
    ...all.map(([model, methods]) => {
      const { head, rows } = methodTable(methods);
      const cells = rows.map(([name, ...rest]) => [code(name), ...rest.map(plain)]);
      return `\`${model}\`:\n\n${markdownTable(head, cells, { right: true })}`;
    }),
    methodNotes(all.flatMap(([, methods]) => methods)).map((note) => `- ${plain(note)}`).join("\n"),
  ].join("\n\n");
}

async function writeChart(path: string): Promise<void> {
  const methods = methodMemory(PRESETS.llama_7b, { model: "llama_7b" });
  const { svg } = await drawChart(methodChart("LLaMA-7B, 1 x 256 tokens", methods));
  await Deno.writeTextFile(path, svg);
}

function memoryTable(model: PresetName, batchSize: number): string {
  const config = PRESETS[model];
  const options = { optimizer: OPTIMIZER, batchSize, seqLen: LENGTH };
  const sizing = new Sizing({ config, options }, CONSUMER_CARD);
  const alone = SAVINGS.map(({ option, value }) => ({ [option]: value }));
  const bytes = sizing.plan()!.plannedPeakBytes;
  const rows = [{}, ...alone.map((change) => possible(sizing, change, alone))].flatMap(
    (change, i) => {
      const plan = sizing.plan(change);
      // An option may be the method's default.
      const saves = plan && (i === 0 || plan.plannedPeakBytes < bytes);
      return saves ? [[nameOf(change), ...figures(plan)]] : [];
    },
  );
  const all = together(sizing, alone);
  rows.push(["all together", ...figures(sizing.plan(all)!)]);
  const head = ["", ...PURPOSES.map((name) => name.replaceAll("_", " ")), "peak", "in blocks"];
  const lines = [head, ["---", ...head.slice(1).map(() => "---:")], ...rows];
  const title = `\`${model}\`, rank ${
    rankOf({}, config)
  }, ${batchSize} x ${LENGTH} tokens, in MiB:`;
  return [title, "", ...lines.map((cells) => `| ${cells.join(" | ")} |`)].join("\n");
}

/** An option that needs another one, together with that. */
function possible(sizing: Sizing, change: Values, others: readonly Values[]): Values {
  const pairs = others.map((other) => ({ ...other, ...change }));
  return [change, ...pairs].find((each) => sizing.plan(each)) ?? change;
}

/** Those that go together, the first of any that do not. */
function together(sizing: Sizing, changes: readonly Values[]): Values {
  return changes.reduce((all, change) => {
    const next = { ...change, ...all };
    return sizing.plan(next) ? next : all;
  }, {});
}

function nameOf(change: Values): string {
  return Object.keys(change).length ? `\`${spell([settings(change)], FLAGS)}\`` : "no option";
}

function figures({ byPurpose, plannedPeakBytes, allocatedBytes }: MemoryPlan): string[] {
  const bytes = [...PURPOSES.map((name) => byPurpose[name]), plannedPeakBytes, allocatedBytes];
  return bytes.map((count) => Math.round(count / 2 ** 20).toLocaleString("en"));
}

if (import.meta.main) {
  const path = fromFileUrl(new URL("../docs/memory.md", import.meta.url));
  let text = await Deno.readTextFile(path);
  for (const [name, make] of Object.entries(PARTS)) {
    const begin = `<!-- ${name}: written by \`deno task memory-table\` -->`;
    const end = `<!-- end of ${name} -->`;
    const [before, rest] = text.split(begin), after = rest.split(end)[1];
    text = `${before}${begin}\n\n${make()}\n\n${end}${after}`;
  }
  await Deno.writeTextFile(path, text);
  const chart = fromFileUrl(new URL(`../docs/${CHART}`, import.meta.url));
  await writeChart(chart);
  await new Deno.Command(Deno.execPath(), { args: ["fmt", "-q", path, chart] }).output();
}
