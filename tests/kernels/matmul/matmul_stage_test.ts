import type { Gpu } from "../../../src/gpu/gpu.ts";
import { defineKernel } from "../../../src/gpu/kernel.ts";
import { padded } from "../../../src/numbers/layout.ts";
import { rowRange } from "../../../src/gpu/tensor.ts";
import type { TextureTensor } from "../../../src/gpu/allocator.ts";
import { matmulStage } from "../../../src/kernels/matmul/matmul_stage.ts";
import { matmulStage as oracle } from "../../oracles/matmul/matmul_stage.ts";
import { knownMatrix } from "../support_matrices.ts";
import { assertClose, download, gpuTest, runPass, upload } from "../../support.ts";
import { testAlternatives } from "../support_strategies.ts";

/** Textures cannot be read back, so a kernel copies them into a buffer. */
const unstage = defineKernel(
  "unstage",
  `
  struct Params { width: u32, height: u32 }
  @group(0) @binding(0) var texels: texture_storage_2d<rgba32float, read>;
  @group(0) @binding(1) var<storage, read_write> out: array<vec4<f32>>;
  @group(1) @binding(0) var<uniform> params: Params;
  @compute @workgroup_size(8, 8) fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x < params.width && id.y < params.height) {
      out[id.y * params.width + id.x] = textureLoad(texels, id.xy);
    }
  }`,
);

async function read(gpu: Gpu, texels: TextureTensor): Promise<Float32Array> {
  const { width, height } = texels;
  const out = upload(gpu, "out", [height, 4 * width]);
  runPass(gpu, (pass) =>
    pass.dispatch({
      kernel: unstage,
      operands: { texels, out },
      params: { width, height },
      workgroups: [Math.ceil(width / 8), Math.ceil(height / 8)],
    }));
  return await download(gpu, out);
}

const whole = (end: number) => ({ start: 0, end });

for (const transposed of [false, true]) {
  for (const dtype of ["float32", "bfloat16", "int8", "int4", "nf4"] as const) {
    gpuTest(`matmul_stage ${dtype}${transposed ? " transposed" : ""} is exact`, async (gpu) => {
      for (const [rows, columns] of [[1, 5], [70, 131], [13, 64], [200, 130]] as const) {
        const { tensor, values } = knownMatrix(gpu, "x", [rows, columns], dtype, rows);
        const [r, k] = transposed ? [columns, rows] : [rows, columns];
        const texture = gpu.texture({ name: "t", width: 64, height: 200, purpose: "workspace" });
        runPass(gpu, (pass) =>
          matmulStage(pass, {
            source: tensor,
            transposed,
            rows: whole(r),
            k: whole(k),
            target: { texture, columns: 64 },
            band: 200,
          }));
        const staged = await read(gpu, texture);
        const width = padded(k);
        const actual = Float32Array.from(
          { length: r * width },
          (_, i) => staged[Math.floor(i / width) * 256 + i % width],
        );
        const expected = oracle(values, columns, transposed, whole(r), whole(k), width);
        // Unpacking is exact but for the one rounding of (code - zero) · scale to float32, or for
        // those of an absolute maximum: of the map's computed number, its product and its sum.
        const rtol = dtype === "nf4" ? 2 ** -21 : 2 ** -24;
        assertClose("staged", actual, expected, { atol: 1e-30, rtol });
      }
    });
  }

  gpuTest(`matmul_stage${transposed ? " transposed" : ""} of a part, in bands`, async (gpu) => {
    const { tensor, values } = knownMatrix(gpu, "x", [200, 200], "int8", 3);
    const view = rowRange(tensor, 64, 200); // (136, 200)
    // Rows are bound from a multiple of 64 on; columns may start at any multiple of 8.
    const rows = { start: 64, end: 130 };
    const k = { start: transposed ? 64 : 8, end: 136 };
    const texture = gpu.texture({ name: "t", width: 16, height: 200, purpose: "workspace" });
    const target = { texture, columns: 16 };
    runPass(
      gpu,
      (pass) => matmulStage(pass, { source: view, transposed, rows, k, target, band: 80 }),
    );
    const width = k.end - k.start;
    const staged = await read(gpu, texture);
    const actual = Float32Array.from({ length: 66 * width }, (_, i) => {
      const r = Math.floor(i / width), at = i % width;
      return staged[(r + 80 * Math.floor(at / 64)) * 64 + at % 64];
    });
    const expected = oracle(values.subarray(64 * 200), 200, transposed, rows, k, width);
    assertClose("staged", actual, expected, { atol: 1e-30, rtol: 2 ** -24 });
  });
}

testAlternatives(import.meta.url);
