/** Factors or gradient: the figures are operations counted by hand, a multiply-add as one. */
import { assertEquals } from "@std/assert";
import { formsGradient, productElements, routeOf } from "../../src/optim/gradient_route.ts";

const MIB = 1 << 20;

function ways(shape: readonly [number, number], rank: number, tokens: number, bytes = 32 * MIB) {
  const { project, refresh } = routeOf({ shape, rank }, tokens, bytes);
  return [project, refresh];
}

Deno.test("a projection takes the route with fewer operations", () => {
  // 128 · 1024 · 1024 = 134e6 by factors, (1024 + 128) · 512² = 302e6 by the gradient.
  assertEquals(ways([512, 512], 128, 1024)[0], "factors");
  // 448 · 4096 · 1024 = 1.88e9, (4096 + 448) · 512² = 1.19e9.
  assertEquals(ways([512, 512], 448, 4096)[0], "gradient");
  // 448 · 16 · 1024 = 7.3e6, (16 + 448) · 512² = 122e6.
  assertEquals(ways([512, 512], 448, 16)[0], "factors");
});

Deno.test("a refresh counts seven products with 8 vectors more than the rank, and the gradient", () => {
  // 7 · 136 · 64 · 1024 = 62e6, 7 · 136 · 512² + 64 · 512² = 266e6.
  assertEquals(ways([512, 512], 128, 64), ["factors", "factors"]);
  // 7 · 136 · 1024 · 1024 = 998e6, (952 + 1024) · 512² = 518e6.
  assertEquals(ways([512, 512], 128, 1024), ["factors", "gradient"]);
  // 7 · 136 · 512 · 5120 = 2.50e9, (952 + 512) · 4096 · 1024 = 6.14e9.
  assertEquals(ways([1024, 4096], 128, 512), ["factors", "factors"]);
});

Deno.test("a gradient of more bytes than others need is formed if that saves half", () => {
  // 7 · 1032 · 4096 · 8192 = 242e9, (7224 + 4096) · 4096² = 190e9; 64 MiB.
  assertEquals(ways([4096, 4096], 1024, 4096), ["factors", "factors"]);
  assertEquals(ways([4096, 4096], 1024, 4096, 64 * MIB), ["factors", "gradient"]);
  // 7 · 1032 · 16384 · 8192 = 970e9, (7224 + 16384) · 4096² = 396e9.
  assertEquals(ways([4096, 4096], 1024, 16384), ["factors", "gradient"]);
});

Deno.test("scratch memory holds the products of factors that a route has", () => {
  const projected = { shape: [50, 30], rank: 12 } as const;
  const elements = (project: "factors" | "gradient", refresh: "factors" | "gradient") =>
    productElements(projected, { tokens: 21, atOnce: 64, project, refresh });
  // (21, 12) and (20, 21), in rows of 16 and 24.
  assertEquals(elements("factors", "gradient"), 21 * 16);
  assertEquals(elements("factors", "factors"), 20 * 24);
  assertEquals(elements("gradient", "gradient"), 0);
  const by = { tokens: 1000, atOnce: 64, project: "factors" } as const;
  assertEquals(productElements(projected, { ...by, refresh: "factors" }), 20 * 64);
  assertEquals([
    formsGradient({ ...by, refresh: "gradient" }),
    formsGradient({ ...by, refresh: "factors" }),
  ], [true, false]);
  // 32 MiB hold 8 Mi numbers, of 1,032 vectors each.
  assertEquals(routeOf({ shape: [4096, 4096], rank: 1024 }, 29_696, 32 * MIB).atOnce, 127 * 64);
  assertEquals(routeOf(projected, 21, 1).atOnce, 64);
});
