import { assertEquals, assertRejects } from "@std/assert";
import { join } from "@std/path";
import { loadWeights } from "../../src/formats/pretrained.ts";
import { Safetensors, writeSafetensors } from "../../src/formats/safetensors.ts";
import type { Gpu } from "../../src/gpu/gpu.ts";
import { UserError } from "../../src/options/user_error.ts";
import type { LlamaParameters } from "../../src/model/parameters.ts";

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
