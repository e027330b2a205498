/**
 * Trains on a text with a loss of your own: rare bytes count more.
 *
 *     deno run -qP examples/own_objective.ts examples/data/tinyshakespeare.txt runs/rare
 *
 * @module
 */
import { Gpu, pretrainOptions, pretrainRecipe, Trainer, weightedCrossEntropy } from "../mod.ts";

const [text, output] = Deno.args;
if (!output) {
  console.error("usage: own_objective.ts <text file> <output folder>");
  Deno.exit(2);
}
const counts = new Float64Array(256);
for (const byte of await Deno.readFile(text)) counts[byte]++;
const total = counts.reduce((a, b) => a + b);

// Between 1 and 4: the weight of a byte grows as its frequency falls.
const weight = (id: number) =>
  id < 256 ? Math.min(4, 1 - Math.log10(counts[id] / total + 1e-9)) : 1;
const objective = weightedCrossEntropy(
  "rare_bytes",
  ({ targets }) => Float32Array.from(targets, (id) => id < 0 ? 0 : weight(id)),
);

const sizes = { steps: 40, batchSize: 4, seqLen: 128 };
const options = pretrainOptions.parse({ model: "llama_nano", data: [text], output, ...sizes });
const gpu = await Gpu.open();
const trainer = await Trainer.open(gpu, { ...await pretrainRecipe(options), objective });
for await (const event of trainer.run()) {
  if (event.type === "step") console.log(`step ${event.step}: weighted loss ${event.loss}`);
  if (event.type === "done") console.log(`perplexity ${event.summary.eval_perplexity}`);
}
gpu.close();
