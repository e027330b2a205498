import { assertEquals, assertThrows } from "@std/assert";
import { KernelPass } from "../../../src/gpu/pass.ts";
import { muonMomentum } from "../../../src/kernels/optim/muon_momentum.ts";
import { ShapeError } from "../../../src/numbers/shape_error.ts";
import { muonMomentum as oracle } from "../../oracles/optim/muon_momentum.ts";
import { assertClose, download, gpuTest, randomNormal, runPass, upload } from "../../support.ts";
import { testAlternatives } from "../support_strategies.ts";

for (const [rows, columns] of [[1, 1], [3, 257], [64, 512], [5, 5461]]) {
  gpuTest(`muon_momentum (${rows}, ${columns}) follows the oracle`, async (gpu) => {
    const shape = [rows, columns], expected = new Float64Array(rows * columns);
    const momentum = upload(gpu, "momentum", shape), update = upload(gpu, "update", shape);
    for (let step = 1; step <= 3; step++) {
      const values = randomNormal(rows * columns, step), gradient = upload(gpu, "g", shape, values);
      runPass(gpu, (pass) => muonMomentum(pass, { gradient, momentum, update, decay: 0.95 }));
      const wanted = oracle(values, expected, 0.95);
      // Three float32 operations on numbers of about one.
      const close = { atol: 1e-6, rtol: 1e-6 };
      assertClose("update", await download(gpu, update), wanted, close);
      assertClose("momentum", await download(gpu, momentum), expected, close);
      assertEquals(await download(gpu, gradient), values, "the gradient is read only");
    }
  });
}

gpuTest("muon_momentum refuses momentum of another shape", (gpu) => {
  const gradient = upload(gpu, "gradient", [4, 16]), update = upload(gpu, "update", [4, 16]);
  const momentum = upload(gpu, "momentum", [4, 8]);
  assertThrows(
    () => muonMomentum(new KernelPass(gpu), { gradient, momentum, update, decay: 0.95 }),
    ShapeError,
    "muonMomentum: momentum must be (4, 16), got (4, 8)",
  );
});

testAlternatives(import.meta.url);
