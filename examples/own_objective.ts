/**
 * Trains on a text with a loss of your own: rare bytes count more.
 *
 *     deno run -qP examples/own_objective.ts examples/data/tinyshakespeare.txt runs/rare
 *
 * @module
 */
import { explain, Gpu, pretrainRecipe, Trainer, UserError, weightedCrossEntropy } from "../mod.ts";

async function train(data: string, output: string): Promise<void> {
  const sizes = { steps: 40, batchSize: 4, seqLen: 128 };
  const recipe = await pretrainRecipe({ model: "llama_nano", data, output, ...sizes });

  const counts = new Float64Array(256);
  for (const byte of await Deno.readFile(data)) counts[byte]++;
  const total = counts.reduce((a, b) => a + b);
  // Between 1 and 4: the weight of a byte grows as its frequency falls.
  const weight = (id: number) =>
    id < 256 ? Math.min(4, 1 - Math.log10(counts[id] / total + 1e-9)) : 1;
  const objective = weightedCrossEntropy(
    "rare_bytes",
    ({ targets }) => Float32Array.from(targets, (id) => id < 0 ? 0 : weight(id)),
  );

  using gpu = await Gpu.open();
  const trainer = await Trainer.open(gpu, { ...recipe, objective });
  for await (const event of trainer.run()) {
    if (event.type === "step") console.log(`step ${event.step}: weighted loss ${event.loss}`);
    if (event.type === "done") console.log(`perplexity ${event.summary.eval_perplexity}`);
  }
}

const [text, output] = Deno.args;
if (!output) {
  console.error("usage: own_objective.ts <text file> <output folder>");
  Deno.exit(2);
}
try {
  await train(text, output);
} catch (error) {
  // A UserError explains itself, a system's error names its file; all else is a bug in the program.
  if (error instanceof UserError) console.error(explain(error));
  else if (error instanceof Deno.errors.NotFound) console.error(error.message);
  else throw error;
  Deno.exitCode = 1;
}
