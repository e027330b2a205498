import { assertEquals, assertThrows } from "@std/assert";
import { KernelPass } from "../../../src/gpu/pass.ts";
import { momentum as average } from "../../../src/kernels/optim/momentum.ts";
import { ShapeError } from "../../../src/numbers/shape_error.ts";
import { momentum as oracle } from "../../oracles/optim/momentum.ts";
import { assertClose, download, gpuTest, randomNormal, runPass, upload } from "../../support.ts";
import { testAlternatives } from "../support_strategies.ts";

for (const [rows, columns] of [[1, 1], [3, 257], [64, 512], [5, 5461]]) {
  gpuTest(`momentum (${rows}, ${columns}) follows the oracle`, async (gpu) => {
    const shape = [rows, columns];
    for (const [nesterov, inPlace] of [[true, false], [false, true]]) {
      const momentum = upload(gpu, "momentum", shape), apart = upload(gpu, "update", shape);
      const expected = new Float64Array(rows * columns);
      for (let step = 1; step <= 3; step++) {
        const values = randomNormal(rows * columns, step);
        const gradient = upload(gpu, "g", shape, values), update = inPlace ? gradient : apart;
        const io = { gradient, momentum, update, decay: 0.95, nesterov };
        runPass(gpu, (pass) => average(pass, io));
        const wanted = oracle(values, expected, 0.95, nesterov);
        // Three float32 operations on numbers of about one.
        const close = { atol: 1e-6, rtol: 1e-6 };
        assertClose("update", await download(gpu, update), wanted, close);
        assertClose("momentum", await download(gpu, momentum), expected, close);
        if (!inPlace) assertEquals(await download(gpu, gradient), values, "which is read only");
      }
    }
  });
}

gpuTest("momentum refuses momentum of another shape", (gpu) => {
  const gradient = upload(gpu, "gradient", [4, 16]), update = upload(gpu, "update", [4, 16]);
  const momentum = upload(gpu, "momentum", [4, 8]);
  assertThrows(
    () => average(new KernelPass(gpu), { gradient, momentum, update, decay: 0, nesterov: true }),
    ShapeError,
    "momentum: momentum must be (4, 16), got (4, 8)",
  );
});

testAlternatives(import.meta.url);
