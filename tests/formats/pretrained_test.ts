import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { join } from "@std/path";
import { loadWeights } from "../../src/formats/pretrained.ts";
import { openPretrained } from "../../src/formats/pretrained_model.ts";
import { Safetensors, writeSafetensors } from "../../src/formats/safetensors.ts";
import { GpuError } from "../../src/gpu/errors.ts";
import type { Gpu } from "../../src/gpu/gpu.ts";
import type { KernelPass } from "../../src/gpu/pass.ts";
import { Scope } from "../../src/gpu/scope.ts";
import { UserError } from "../../src/options/user_error.ts";
import { HostMatrix } from "../../src/model/host_matrix.ts";
import {
  createParameters,
  type LlamaParameters,
  type WeightFormat,
} from "../../src/model/parameters.ts";
import { groupDequantize } from "../../src/kernels/quantise/group_dequantize.ts";
import { dequantize } from "../../src/numbers/group.ts";
import { assertClose, gpuTest, runPass, upload } from "../support.ts";
import { saveBase, TINY } from "../train/support.ts";

Deno.test("a matrix in host memory has no values until they are written", () => {
  const spec = { name: "rows", shape: [3, 2], dtype: "float32", purpose: "weights" } as const;
  const matrix = new HostMatrix(spec), ids = Uint32Array.of(2);
  assertThrows(() => matrix.rows(ids), UserError, "rows was not loaded");
  matrix.clear();
  assertEquals([...matrix.rows(ids)], [0, 0]);
});

/** A model's expected parameters: float matrices of (2, 2). */
const expecting = (names: readonly string[]) =>
  ({
    all: names.map((name) => ({ name, shape: [2, 2], kind: "matrix" })),
  }) as unknown as LlamaParameters;

Deno.test("loadWeights: what does not suit is all named, before the GPU is touched", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const zeros = (name: string, dtype: "F16" | "I64" | "BOOL", shape: number[]) => {
      const size = { F16: 2, I64: 8, BOOL: 1 }[dtype];
      const count = shape.reduce((product, each) => product * each, 1);
      return { name, dtype, shape, data: new Uint8Array(size * count) };
    };
    await writeSafetensors(join(folder, "model.safetensors"), [
      zeros("a", "F16", [2, 2]),
      zeros("b", "I64", [2, 2]),
      zeros("c", "BOOL", [2, 2]),
      zeros("d", "F16", [4]),
      zeros("f", "F16", [1]),
      zeros("x.rotary_emb.inv_freq", "F16", [1]), // in old checkpoints, but not a parameter
    ]);
    using file = await Safetensors.open(folder);
    const gpu = undefined as unknown as Gpu;
    const error = await assertRejects(
      () => loadWeights(gpu, expecting(["a", "b", "c", "d", "e"]), file),
      UserError,
    );
    assertEquals(error.message.split("\n").map((line) => line.trim()), [
      `${folder}: does not match its config.json:`,
      "b must be of floating point, is I64",
      "c must be of floating point, is BOOL",
      "d must be [2, 2], is [4]",
      "e is missing",
      "f belongs to no parameter",
    ]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

gpuTest(
  "an embedding in host memory has the bytes of the device's, block by block",
  async (gpu) => {
    // More rows than a block, the last of which ends inside a group.
    const config = { ...TINY, vocabSize: 22_001, hiddenSize: 100, layers: 1 };
    const folder = await Deno.makeTempDir(), scope = new Scope(gpu);
    try {
      await saveBase(folder, config);
      using source = await openPretrained(folder);
      const loaded = async (format: WeightFormat) => {
        const parameters = createParameters(scope, config, format);
        await loadWeights(gpu, parameters, source.weights);
        return parameters;
      };
      const format = {
        weights: "int8",
        groupSize: 256,
        embeddings: "int8",
        trained: "body",
      } as const;
      const { embedding: { weight } } = await loaded(format);
      const offloaded = { ...format, offloadedEmbedding: "int8" } as const;
      const { embedding: { host, weight: none } } = await loaded(offloaded);
      const there = "model.embed_tokens.weight lies in host memory";
      assertThrows(() => gpu.write(none, new Uint8Array(4)), GpuError, `write: ${there}`);
      const gather = (pass: KernelPass) =>
        groupDequantize(pass, { source: none, target: upload(gpu, "x", [22_001, 100]) });
      assertThrows(() => runPass(gpu, gather), GpuError, `: ${there}`);
      const words = new Uint32Array((await gpu.read(weight.constants!)).buffer);
      const device = dequantize(weight, await gpu.read(weight), words);
      const all = host!.rows(Uint32Array.from({ length: config.vocabSize }, (_, id) => id));
      assertEquals(all, device);
      const exact = await source.weights.readFloat32("model.embed_tokens.weight");
      // Half a step of a group of normal numbers, the largest of which are some six times 0.02.
      assertClose("rows", all, exact, { atol: 0.5 * 12 * 0.02 / 255, rtol: 0 });
    } finally {
      scope.release();
      await Deno.remove(folder, { recursive: true });
    }
  },
);
