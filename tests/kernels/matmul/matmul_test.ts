import { assert, assertEquals, assertThrows } from "@std/assert";
import { PlanAllocator } from "../../../src/gpu/allocator.ts";
import { ShapeError } from "../../../src/numbers/shape_error.ts";
import type { Gpu } from "../../../src/gpu/gpu.ts";
import { KernelPass } from "../../../src/gpu/pass.ts";
import { rowRange } from "../../../src/gpu/tensor.ts";
import {
  createMatmulWorkspace,
  matmul,
  type MatmulLayout,
  type MatmulTile,
  tileByShape,
} from "../../../src/kernels/matmul/matmul.ts";
import { partialSums, splitOf } from "../../../src/kernels/matmul/matmul_split.ts";
import type { MatrixType } from "../../../src/kernels/octet.ts";
import { matmul as oracle } from "../../oracles/matmul/matmul.ts";
import { knownMatrix } from "../support_matrices.ts";
import {
  assertClose,
  download,
  gpuTest,
  OUTPUT_ROUNDING,
  randomNormal,
  rounded,
  runPass,
  upload,
} from "../../support.ts";
import { force, strategyTest, testAlternatives } from "../support_strategies.ts";
import { STRATEGIES, strategyFor } from "../../../src/kernels/strategy.ts";

type Size = readonly [m: number, n: number, k: number];

interface Case {
  readonly layout: MatmulLayout;
  readonly size: Size;
  readonly a?: MatrixType;
  readonly b?: MatrixType;
  readonly c?: "float32" | "bfloat16";
  readonly alpha?: number;
  readonly accumulate?: boolean;
  readonly residual?: boolean;
  readonly texels?: number;
  readonly tile?: MatmulTile;
}

/** Runs a case and compares it with the oracle; returns the bytes of c, padding included. */
async function check(gpu: Gpu, test: Case): Promise<Uint8Array> {
  const { layout, size: [m, n, k], c: format = "float32", alpha, accumulate } = test;
  const a = knownMatrix(gpu, "a", layout === "TN" ? [k, m] : [m, k], test.a ?? "float32", 1);
  const b = knownMatrix(gpu, "b", layout === "NT" ? [n, k] : [k, n], test.b ?? "float32", 2);
  const before = rounded(randomNormal(m * n, 3), format);
  const added = rounded(randomNormal(m * n, 4), format);
  const c = upload(gpu, "c", [m, n], before, format);
  const residual = test.residual ? upload(gpu, "residual", [m, n], added, format) : undefined;
  const workspace = createMatmulWorkspace(gpu, {
    variant: strategyFor(gpu.capabilities).matmul,
    limits: gpu.limits,
    shapes: [{ layout, m, n, k }],
    texels: test.texels,
    tile: test.tile && (() => test.tile!),
  });
  runPass(
    gpu,
    (pass) =>
      matmul(pass, workspace, { layout, a: a.tensor, b: b.tensor, c, alpha, accumulate, residual }),
  );
  const expected = oracle(layout, a.values, b.values, { m, n, k }, {
    alpha,
    c: accumulate ? before : undefined,
    residual: residual && added,
  });
  // A float32 sum of k products of order 1 has an error of about sqrt(k) half units; its largest
  // partial sum is a few times sqrt(k).
  const atol = 2 ** -23 * k ** 0.5 * Math.max(4, k ** 0.5);
  assertClose(JSON.stringify(test), await download(gpu, c), expected, {
    atol,
    rtol: 1e-6 + OUTPUT_ROUNDING[format],
  });
  return await gpu.read(c);
}

const LAYOUTS = ["NT", "NN", "TN"] as const;
const FORMATS = ["float32", "bfloat16", "int8", "int4"] as const;
/** Of b: NF4 is for frozen weights. */
const WEIGHT_FORMATS = [...FORMATS, "nf4"] as const;

for (const layout of LAYOUTS) {
  strategyTest(
    (strategy) => `matmul ${layout} agrees with the oracle at odd shapes, ${strategy}`,
    async (gpu) => {
      for (const size of [[5, 1, 3], [1, 9, 8], [70, 257, 33], [9, 66, 5461]] as const) {
        await check(gpu, { layout, size });
      }
      await check(gpu, { layout, size: [33, 11, 70], c: "bfloat16" });
    },
  );
}

strategyTest(
  (strategy) => `matmul reads every format on either side, ${strategy}`,
  async (gpu, name) => {
    const size = [19, 37, 29] as const;
    for (const format of WEIGHT_FORMATS) {
      // A pipeline of the tiled variant is compiled for each pair, so the pairs take turns.
      for (const layout of LAYOUTS) {
        if (format !== "nf4" && (name === "software" || layout === "NN")) {
          await check(gpu, { layout, size, a: format, b: "bfloat16" });
        }
        if (name === "software" || layout !== "NN" || format === "nf4") {
          await check(gpu, { layout, size, a: "bfloat16", b: format });
        }
      }
    }
    await check(gpu, { layout: "TN", size, a: "int8", b: "int4" });
  },
);

strategyTest(
  (strategy) => `matmul scales, accumulates and adds a residual, ${strategy}`,
  async (gpu) => {
    const both = { alpha: 3, accumulate: true, residual: true }, size = [21, 35, 40] as const;
    await check(gpu, { layout: "NT", size, alpha: -0.25 });
    await check(gpu, { layout: "NT", size, accumulate: true });
    await check(gpu, { layout: "NT", size, residual: true });
    await check(gpu, { layout: "NT", size, ...both });
    await check(gpu, { layout: "NT", size, c: "bfloat16", ...both });
  },
);

strategyTest(
  (strategy) => `matmul of few rows reads the weight as it lies, ${strategy}`,
  async (gpu) => {
    for (const [index, b] of [...FORMATS.entries(), [0, "nf4"], [3, "nf4"]] as const) {
      const m = index + 1;
      await check(gpu, { layout: "NT", size: [m, 133, 301], b });
      await check(gpu, {
        layout: "NT",
        size: [m, 7, 5],
        a: "bfloat16",
        b,
        residual: true,
      });
    }
    await check(gpu, { layout: "NT", size: [2, 30, 40], c: "bfloat16", accumulate: true });
    // A quantised a takes the general path.
    await check(gpu, { layout: "NT", size: [2, 30, 40], a: "int8" });
  },
);

strategyTest(
  (strategy) => `matmul leaves padding zero and gives the same bits twice, ${strategy}`,
  async (gpu) => {
    for (const c of ["float32", "bfloat16"] as const) {
      const test: Case = { layout: "NN", size: [10, 19, 21], a: "int4", b: "int8", c };
      const bytes = await check(gpu, test);
      assertEquals(bytes, await check(gpu, test));
      const row = bytes.length / 10, element = row / 24;
      for (let at = 0; at < bytes.length; at++) {
        if (at % row >= 19 * element) assertEquals(bytes[at], 0);
      }
    }
  },
);

strategyTest((strategy) => `matmul of row ranges, ${strategy}`, async (gpu) => {
  for (const format of WEIGHT_FORMATS) {
    const a = knownMatrix(gpu, "a", [192, 21], "bfloat16", 5);
    const b = knownMatrix(gpu, "b", [200, 21], format, 6);
    const c = upload(gpu, "c", [192, 72]);
    const workspace = createMatmulWorkspace(gpu, {
      variant: strategyFor(gpu.capabilities).matmul,
      limits: gpu.limits,
      shapes: [{ layout: "NT", m: 64, n: 72, k: 21 }],
    });
    runPass(gpu, (pass) =>
      matmul(pass, workspace, {
        layout: "NT",
        a: rowRange(a.tensor, 64, 128),
        b: rowRange(b.tensor, 128, 200),
        c: rowRange(c, 128, 192),
      }));
    const expected = oracle(
      "NT",
      a.values.subarray(64 * 21),
      b.values.subarray(128 * 21),
      { m: 64, n: 72, k: 21 },
    );
    const all = await download(gpu, c);
    assertClose(format, all.subarray(128 * 72), expected, { atol: 2e-5, rtol: 1e-6 });
    assert(all.subarray(0, 128 * 72).every((value) => value === 0), "rows outside the range");
  }
});

strategyTest(
  (strategy) => `matmul of rows of the product gives their bits in the whole, ${strategy}`,
  async (gpu) => {
    const [m, n, k] = [150, 37, 600]; // in tiles, the terms are split
    for (
      const [layout, format] of [["NT", "bfloat16"], ["NN", "float32"], ["TN", "int4"]] as const
    ) {
      const { tensor: a } = knownMatrix(gpu, "a", layout === "TN" ? [k, m] : [m, k], format, 1);
      const { tensor: b } = knownMatrix(gpu, "b", layout === "NT" ? [n, k] : [k, n], "bfloat16", 2);
      const residual = upload(gpu, "residual", [m, n], randomNormal(m * n, 3));
      const workspaceOf = (m: number) =>
        createMatmulWorkspace(gpu, {
          variant: strategyFor(gpu.capabilities).matmul,
          limits: gpu.limits,
          shapes: [{ layout, m, n, k }],
        });
      const workspace = workspaceOf(m), ofRows = workspaceOf(64);
      const c = upload(gpu, "c", [m, n]), io = { layout, a, b, alpha: 0.5 };
      runPass(gpu, (pass) => matmul(pass, workspace, { ...io, c, residual }));
      const whole = await download(gpu, c);
      for (const rows of [{ start: 0, end: 64 }, { start: 64, end: 128 }, { start: 128, end: m }]) {
        const { start, end } = rows, part = upload(gpu, "part", [end - start, n]);
        const of = { ...io, c: part, rows, residual: rowRange(residual, start, end) };
        // Also where only blocks of rows were planned for.
        for (const planned of [workspace, ofRows]) {
          runPass(gpu, (pass) => matmul(pass, planned, of));
          assertEquals(await download(gpu, part), whole.slice(start * n, end * n), layout);
        }
      }
      for (
        const rows of [{ start: 32, end: 64 }, { start: 128, end: 151 }, { start: 64, end: 64 }]
      ) {
        assertThrows(
          () => runPass(gpu, (pass) => matmul(pass, workspace, { ...io, c, rows })),
          ShapeError,
          "rows must start at a multiple of 64 and lie in [0, 150), got",
        );
      }
    }
  },
);

const TILES = ["128x128", "128x64", "64x128", "64x64"] as const;

for (
  const [layout, a, b, c] of [
    ["NT", "bfloat16", "int8", "bfloat16"],
    ["NN", "bfloat16", "nf4", "float32"],
    ["TN", "int4", "float32", "float32"],
  ] as const
) {
  gpuTest(`matmul ${layout} in tiles of every size gives the same bits`, async (gpu) => {
    // Less than a tile, one row and k; several tiles, none of them whole; whole tiles and steps of k.
    using _ = force(gpu, { matmul: "tiled" });
    for (const size of [[1, 9, 1], [150, 199, 45], [128, 256, 32]] as const) {
      const results = [];
      for (const tile of TILES) {
        results.push(await check(gpu, { layout, size, a, b, c, tile }));
      }
      for (const bytes of results) assertEquals(bytes, results[0]);
    }
  });
}

gpuTest("matmul of few tiles and many terms is split, and right", async (gpu) => {
  // Three parts, the last one shorter and with an end inside an octet of k.
  const size = [70, 41, 997] as const;
  const options = { layout: "TN", size } as const;
  using _ = force(gpu, { matmul: "tiled" });
  const both = { alpha: 0.5, accumulate: true, residual: true };
  const first = await check(gpu, { ...options, ...both, c: "bfloat16" });
  assertEquals(await check(gpu, { ...options, ...both, c: "bfloat16", tile: "128x128" }), first);
  await check(gpu, { ...options, layout: "NT", a: "bfloat16", b: "int8" });
});

gpuTest("matmul is not split where its workspace has no room", async (gpu) => {
  const a = knownMatrix(gpu, "a", [8, 600], "float32", 7);
  const b = knownMatrix(gpu, "b", [9, 600], "float32", 8);
  const c = upload(gpu, "c", [8, 9]);
  const shapes = [{ layout: "NT", m: 8, n: 9, k: 255 }] as const;
  const workspace = createMatmulWorkspace(gpu, { variant: "tiled", limits: gpu.limits, shapes });
  runPass(gpu, (pass) => matmul(pass, workspace, { layout: "NT", a: a.tensor, b: b.tensor, c }));
  const expected = oracle("NT", a.values, b.values, { m: 8, n: 9, k: 600 });
  assertClose("c", await download(gpu, c), expected, { atol: 1e-4, rtol: 1e-6 });
});

Deno.test("matmul's split: by shape, within 8 MiB of partial sums", () => {
  const split = (m: number, n: number, k: number) => splitOf({ layout: "TN", m, n, k });
  assertEquals(split(512, 512, 4096), { parts: 8, terms: 512 });
  assertEquals(split(16, 2048, 2048), { parts: 8, terms: 256 });
  assertEquals(split(70, 41, 997), { parts: 3, terms: 336 });
  assertEquals(split(2048, 5461, 8192).parts, 1);
  assertEquals(split(64, 64, 511).parts, 1);
  for (const m of [1, 64, 65, 200, 512, 1000, 4096]) {
    for (const n of [1, 63, 129, 768, 5461]) {
      const shape = { layout: "TN", m, n, k: 1 << 20 } as const;
      assert(4 * partialSums(shape) <= 8 * 2 ** 20, `${m} x ${n}`);
    }
  }
});

Deno.test("matmul's tile: the largest of which a card gets enough", () => {
  const tile = (m: number, n: number) => tileByShape({ layout: "NT", m, n, k: 512 });
  assertEquals(tile(8192, 5461), "128x128");
  assertEquals(tile(4096, 512), "128x64");
  assertEquals(tile(2048, 512), "64x64");
  assertEquals(tile(5, 3), "64x64");
});

strategyTest((strategy) => `matmul sums a k beyond what loops may do, ${strategy}`, async (gpu) => {
  const k = 70_000, m = 8, n = 9;
  // Small whole numbers: their sums are exact in float32, and a lost block shows.
  const values = (count: number) => Float32Array.from({ length: count }, (_, i) => (i % 7) - 2);
  const a = upload(gpu, "a", [m, k], values(m * k)), b = upload(gpu, "b", [n, k], values(n * k));
  const c = upload(gpu, "c", [m, n]);
  const shapes = [{ layout: "NT", m, n, k }] as const;
  const variant = strategyFor(gpu.capabilities).matmul;
  const workspace = createMatmulWorkspace(gpu, { variant, limits: gpu.limits, shapes });
  runPass(gpu, (pass) => matmul(pass, workspace, { layout: "NT", a, b, c }));
  const expected = new Float64Array(m * n), x = values(m * k), y = values(n * k);
  for (let row = 0; row < m; row++) {
    for (let column = 0; column < n; column++) {
      for (let i = 0; i < k; i++) {
        expected[row * n + column] += x[row * k + i] * y[column * k + i];
      }
    }
  }
  assertEquals(Array.from(await download(gpu, c)), Array.from(expected));
});

gpuTest("matmul in blocks agrees with the oracle", async (gpu) => {
  // 64 rows of 64 numbers: every dimension needs several blocks.
  const texels = 1024;
  using _ = force(gpu, { matmul: "texture" });
  for (const layout of LAYOUTS) {
    for (const b of ["float32", "int8", "nf4"] as const) {
      await check(gpu, { layout, size: [70, 140, 150], b, texels });
      await check(gpu, {
        layout,
        size: [140, 70, 33],
        a: "bfloat16",
        b,
        texels,
      });
    }
    const size = [130, 70, 200] as const;
    await check(gpu, {
      layout,
      size,
      alpha: 0.5,
      accumulate: true,
      residual: true,
      texels,
    });
    // Rows that continue in a second and third band.
    await check(gpu, { layout, size: [70, 20, 5000], texels: 512 * 256 });
  }
});

gpuTest("matmul takes shapes that its workspace was not made for", async (gpu) => {
  const a = knownMatrix(gpu, "a", [150, 90], "float32", 7);
  const b = knownMatrix(gpu, "b", [200, 90], "float32", 8);
  const c = upload(gpu, "c", [3, 50, 200]);
  const workspace = createMatmulWorkspace(gpu, {
    variant: "texture",
    limits: gpu.limits,
    shapes: [{ layout: "NN", m: 16, n: 16, k: 16 }],
  });
  runPass(gpu, (pass) => matmul(pass, workspace, { layout: "NT", a: a.tensor, b: b.tensor, c }));
  const expected = oracle("NT", a.values, b.values, { m: 150, n: 200, k: 90 });
  assertClose("c", await download(gpu, c), expected, { atol: 1e-4, rtol: 1e-6 });
});

gpuTest("matmul workspace: planned as allocated, within its texels", (gpu) => {
  const shapes = [
    { layout: "NT", m: 2048, n: 11008, k: 4096 },
    { layout: "NN", m: 2048, n: 4096, k: 32000 },
    { layout: "NT", m: 1, n: 32000, k: 4096 },
    { layout: "TN", m: 256, n: 512, k: 1024 },
  ] as const;
  for (const { matmul: variant } of Object.values(STRATEGIES)) {
    const options = { variant, limits: gpu.limits, shapes, texels: 1 << 16 };
    const plan = new PlanAllocator();
    createMatmulWorkspace(plan, options);
    const before = gpu.account.live;
    createMatmulWorkspace(gpu, options);
    assertEquals(plan.account.live, gpu.account.live - before);
    assert(plan.account.live <= 2 * (1 << 16) * 16 * 1.01 + 32);
  }
  assertEquals(strategyFor({ software: true }).matmul, "texture");
  assertEquals(strategyFor({ software: false }).matmul, "tiled");
});

gpuTest("matmul refuses operands that do not match", (gpu) => {
  const workspace = createMatmulWorkspace(gpu, {
    variant: "tiled",
    limits: gpu.limits,
    shapes: [],
  });
  const tensor = (name: string, shape: number[], dtype: "float32" | "uint32" = "float32") =>
    upload(gpu, name, shape, undefined, dtype);
  const a = tensor("a", [4, 16]), b = tensor("b", [8, 24]), c = tensor("c", [4, 8]);
  const attempt = (io: Parameters<typeof matmul>[2]) => () =>
    matmul(new KernelPass(gpu), workspace, io);
  assertThrows(
    attempt({ layout: "NT", a, b, c }),
    ShapeError,
    "matmul NT: k differs: a is float32 (4, 16), k = 16; b is float32 (8, 24), k = 24",
  );
  assertThrows(
    attempt({ layout: "NN", a, b: tensor("b", [16, 24]), c }),
    ShapeError,
    "matmul NN: c must be (4, 24), got (4, 8)",
  );
  assertThrows(
    attempt({ layout: "NT", a, b: tensor("b", [8, 16]), c, residual: tensor("r", [4, 4]) }),
    ShapeError,
    "matmul NT: residual must be (4, 8), got (4, 4)",
  );
  const shared = assertThrows(
    attempt({ layout: "NT", a, b: tensor("b", [8, 16]), c, residual: c }),
    ShapeError,
    "matmul NT: c (c) shares a buffer with residual (c)",
  );
  assertEquals(shared.hint, "use accumulate to add to c");
  assertThrows(
    attempt({ layout: "NT", a: tensor("a", [4, 16], "uint32"), b, c }),
    ShapeError,
    "matmul: a must be float32 or bfloat16 or int8 or int4, got uint32",
  );
  const frozen = gpu.tensor({ name: "a", shape: [4, 16], dtype: "nf4", purpose: "workspace" });
  assertThrows(
    attempt({ layout: "NT", a: frozen, b: tensor("b", [8, 16]), c }),
    ShapeError,
    "matmul: a must be float32 or bfloat16 or int8 or int4, got nf4",
  );
});

testAlternatives(import.meta.url);
