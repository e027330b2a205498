import { assertEquals } from "@std/assert";
import { join } from "@std/path";
import { CONSUMER_CARD } from "../../src/gpu/capabilities.ts";
import { Gpu } from "../../src/gpu/gpu.ts";
import type { MatmulShape } from "../../src/kernels/matmul/matmul.ts";
import { TimingsFolder } from "../../src/train/timings.ts";
import { tune } from "../../src/train/tuning.ts";

const PRODUCTS: MatmulShape[] = [
  { layout: "NT", m: 96, n: 64, k: 32 },
  { layout: "TN", m: 64, n: 32, k: 96 },
];

Deno.test("products are timed once an adapter, remembered on disk, and timed again if that fails", async () => {
  const folder = await Deno.makeTempDir(), cache = join(folder, "not", "there", "yet");
  const phases: (number | undefined)[] = [];
  const run = async (into: string | undefined, products = PRODUCTS) => {
    const gpu = await Gpu.open();
    gpu.assume({ software: false });
    phases.length = 0;
    try {
      const timings = into === undefined ? undefined : new TimingsFolder(into);
      await tune(gpu, () => products, ({ share }) => phases.push(share), timings);
      return Object.keys(gpu.capabilities.timed?.tiles ?? {});
    } finally {
      gpu.close();
    }
  };
  try {
    const keys = ["NT 96 64 32", "TN 64 32 96"];
    assertEquals(await run(cache), keys);
    assertEquals(phases, [0, 0.5]);
    const [{ name }] = [...Deno.readDirSync(cache)], file = join(cache, name);
    const text = await Deno.readTextFile(file);

    assertEquals(await run(cache), keys, "remembered");
    assertEquals(phases, []);
    const more = [...PRODUCTS, { layout: "NN", m: 64, n: 32, k: 32 } as const];
    assertEquals(await run(cache, more), [...keys, "NN 64 32 32"]);
    assertEquals(phases, [0], "only what is new");

    const old = text.replace(/"timed_at": "\d{4}/, '"timed_at": "2020');
    const future = old.replace("2020", "2999");
    for (const content of ["", "{", "[]", old, future]) {
      await Deno.writeTextFile(file, content);
      assertEquals(await run(cache), keys);
      assertEquals(phases.length, 2, content);
    }
    // Where nothing can be written, nothing is remembered.
    await Deno.writeTextFile(join(folder, "file"), "");
    assertEquals(await run(join(folder, "file")), keys);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("an adapter without a choice or a clock is not timed", async () => {
  const never = () => {
    throw new Error("asked for its products");
  };
  const clocked = { ...CONSUMER_CARD, features: ["timestamp-query" as const] };
  for (const capabilities of [CONSUMER_CARD, { ...clocked, software: true }]) {
    await tune({ capabilities } as unknown as Gpu, never, never, undefined);
  }
});
