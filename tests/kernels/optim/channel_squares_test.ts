import { assertEquals, assertThrows } from "@std/assert";
import { KernelPass } from "../../../src/gpu/pass.ts";
import { ShapeError } from "../../../src/numbers/shape_error.ts";
import { channelSquares } from "../../../src/kernels/optim/channel_squares.ts";
import { channelSquares as oracle } from "../../oracles/optim/channel_squares.ts";
import { assertClose, download, gpuTest, randomNormal, runPass, upload } from "../../support.ts";
import { LOOPS, sharings, testAlternatives } from "../support_strategies.ts";

const CHANNELS = ["rows", "columns"] as const;

gpuTest("channel_squares of rows and of columns", async (gpu) => {
  for (const [rows, columns] of [[1, 8], [70, 257], [5, 5461], [300, 1]]) {
    const values = randomNormal(rows * columns, 1);
    const x = upload(gpu, "x", [rows, columns], values);
    for (const strategy of sharings(gpu, LOOPS)) {
      for (const channels of CHANNELS) {
        const expected = oracle(values, columns, channels);
        const outs = [0, 1].map(() => upload(gpu, "out", [expected.length]));
        runPass(gpu, (pass) => outs.forEach((out) => channelSquares(pass, { x, channels, out })));
        const [sums, again] = [await download(gpu, outs[0]), await download(gpu, outs[1])];
        assertEquals(sums, again);
        // Positive terms, a float32 rounding each at most; of 5461 at random some 40.
        assertClose(`${channels}, ${strategy}`, sums, expected, { atol: 0, rtol: 4e-6 });
      }
    }
  }
});

gpuTest("channel_squares of more rows than a dispatch walks over", async (gpu) => {
  const rows = 65_600, values = randomNormal(8 * rows, 1);
  const x = upload(gpu, "x", [rows, 8], values);
  for (const channels of CHANNELS) {
    const expected = oracle(values, 8, channels), out = upload(gpu, "out", [expected.length]);
    runPass(gpu, (pass) => channelSquares(pass, { x, channels, out }));
    // A float32 rounding a row: at random, some 256 halves of 2^-24.
    assertClose(channels, await download(gpu, out), expected, { atol: 0, rtol: 1e-4 });
  }
});

gpuTest("channel_squares refuses an output of another size", (gpu) => {
  const x = upload(gpu, "x", [4, 16]), out = upload(gpu, "out", [16]);
  assertThrows(
    () => channelSquares(new KernelPass(gpu), { x, channels: "rows", out }),
    ShapeError,
    "channelSquares: out must be (4), got (16)",
  );
});

testAlternatives(import.meta.url);
