import { assertThrows } from "@std/assert";
import { KernelPass } from "../../../src/gpu/pass.ts";
import { ShapeError } from "../../../src/numbers/shape_error.ts";
import { scaleChannels } from "../../../src/kernels/optim/scale_channels.ts";
import { scaleChannels as oracle } from "../../oracles/optim/scale_channels.ts";
import { assertClose, download, gpuTest, randomNormal, runPass, upload } from "../../support.ts";
import { strategies, testAlternatives } from "../support_strategies.ts";

gpuTest("scale_channels by rows, by columns and by one factor", async (gpu) => {
  for (const [rows, columns] of [[1, 8], [70, 257], [5, 5461], [300, 1]]) {
    const values = randomNormal(rows * columns, 1), alpha = -0.01;
    for (const strategy of strategies(gpu, [{}, { flatElements: 512 }])) {
      for (const [channels, count] of [["rows", rows], ["columns", columns], ["all", 1]] as const) {
        const of = randomNormal(count, 2), factors = upload(gpu, "factors", [count], of);
        const matrix = upload(gpu, "matrix", [rows, columns], values);
        runPass(gpu, (pass) => scaleChannels(pass, { matrix, channels, factors, alpha }));
        const expected = oracle(values, columns, channels, of, alpha);
        // Two products, and alpha as float32: three halves of 2^-23.
        assertClose(`${channels}, ${strategy}`, await download(gpu, matrix), expected, {
          atol: 0,
          rtol: 2e-7,
        });
      }
    }
  }
});

gpuTest("scale_channels refuses factors of other channels", (gpu) => {
  const matrix = upload(gpu, "matrix", [4, 16]), factors = upload(gpu, "factors", [16]);
  assertThrows(
    () => scaleChannels(new KernelPass(gpu), { matrix, channels: "rows", factors }),
    ShapeError,
    "scaleChannels: factors must be (4), got (16)",
  );
});

testAlternatives(import.meta.url);
