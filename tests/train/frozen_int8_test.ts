/** Frozen INT8 matrices beside small adapters: random weights are drawn though the optimizer needs little room. */
import { assert } from "@std/assert";
import { PROJECTIONS } from "../../src/model/description.ts";
import { buildTraining } from "../../src/train/build.ts";
import { trainingShape } from "../../src/train/method.ts";
import { memoryOptions } from "../../src/train/memory_options.ts";
import { prepare } from "../../src/train/untrained.ts";
import { valuesOf } from "../../src/formats/tensor_values.ts";
import { Scope } from "../../src/gpu/scope.ts";
import { gpuTest } from "../support.ts";
import { runTraining, TINY, trainingTest, withWorkshop } from "./support.ts";

const CONFIG = { ...TINY, tieWordEmbeddings: true, layers: 1 };
const SIZES = { weightQuant: true, weightGroupSize: 64, loraRank: 2, batchSize: 1, seqLen: 8 };

for (const finetune of [false, true]) {
  gpuTest(
    `lora, INT8, ${finetune ? "fine-tuning" : "from random weights"}: a step is prepared`,
    async (gpu) => {
      using scope = new Scope(gpu);
      const options = memoryOptions.parse({ model: "./-", optimizer: "lora", finetune, ...SIZES });
      const training = buildTraining(
        scope,
        CONFIG,
        trainingShape(options, CONFIG),
        gpu.capabilities,
      );
      prepare(gpu, training);
      let tried = 0;
      for (const { name, weight } of training.model.parameters.all) {
        const { dtype, shape: [rows, columns] } = weight;
        if (dtype !== "int8") continue;
        // Rounded to steps of a sixtieth of its deviation or less.
        const values = await valuesOf(gpu, weight)(0, rows * columns);
        const deviation = Math.sqrt(values.reduce((sum, x) => sum + x * x, 0) / values.length);
        assert(Math.abs(deviation / CONFIG.initializerRange - 1) < 0.1, `${name}: ${deviation}`);
        tried++;
      }
      assert(tried >= PROJECTIONS.length, `${tried} in INT8`);
    },
  );
}

trainingTest(
  "lora, INT8, of a tied model with a low rank: trains from random weights",
  () =>
    withWorkshop(async ({ options }) => {
      const own = options("run", { optimizer: "lora", ...SIZES, steps: 2, saveMinutes: 0 });
      const { events } = await runTraining(own);
      const losses = events.flatMap((event) => event.type === "step" ? [event.loss] : []);
      assert(
        losses.length === 2 && losses.every((loss) => Math.abs(loss - Math.log(257)) < 0.2),
        `${losses}`,
      );
    }, CONFIG),
);
