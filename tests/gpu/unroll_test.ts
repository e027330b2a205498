import { assertEquals, assertThrows } from "@std/assert";
import { GpuError } from "../../src/gpu/errors.ts";
import { unrolled } from "../../src/gpu/unroll.ts";

/** Without what naga ignores. */
const dense = (code: string) => code.replace(/\s+/g, " ").trim();

Deno.test("a marked loop becomes its rounds, each in braces", () => {
  assertEquals(
    dense(
      unrolled("// @unroll\n  for (var i = 0u; i < 3u; i++) { let y = x[i]; z += y; }\nend();"),
    ),
    "{ let y = x[0u]; z += y; } { let y = x[1u]; z += y; } { let y = x[2u]; z += y; } end();",
  );
  const plain = "for (var i = 0u; i < 3u; i++) { z += x[i]; }";
  assertEquals(unrolled(plain), plain);
});

Deno.test("bounds are expressions of module constants, as WGSL evaluates them", () => {
  const constants = "const HEAD = 36u;\nconst LANES: u32 = 8u;\n";
  const rounds = (bound: string) =>
    unrolled(`${constants}// @unroll\nfor (var i = 0u; i < ${bound}; i++) { f(i); }`)
      .match(/f\(\d+u\)/g)?.length ?? 0;
  assertEquals(rounds("(HEAD + LANES - 1u) / LANES"), 5);
  assertEquals(rounds("HEAD - 4u * LANES"), 4);
  assertEquals(rounds("HEAD % LANES"), 4);
  assertEquals(rounds("HEAD - 36u"), 0);
});

Deno.test("loops nest, have a start and a step, and leave other names alone", () => {
  const nested = `// @unroll
    for (var i = 1u; i < 5u; i += 2u) {
      // a brace in a comment: }
      // @unroll
      for (var j = i; j < i + 2u; j++) { ii[j] = i; }
    }`;
  assertEquals(
    [...unrolled(nested).matchAll(/ii\[(\d)u\] = (\d)u/g)].map(([, j, i]) => [j, i].join()),
    ["1,1", "2,1", "3,3", "4,3"],
  );
});

Deno.test("a loop that cannot be unrolled is refused", () => {
  const loop = (head: string) => () => unrolled(`override N: u32;\n// @unroll\n${head} { f(i); }`);
  const cases = {
    "for (var i = 0u; i < N; i++)": "N is not an expression of literals and module constants",
    "for (var i = 0u; i < 8u N; i++)": "8u N is not",
    "for (var i = 0u; i < 5000u; i++)": "from 0 to 5000 by 1 is not at most 256 rounds",
    "for (var i = 0u; i < 5u; i += 0u)": "by 0",
    "while (true)": "got // @unroll",
  };
  for (const [head, message] of Object.entries(cases)) {
    assertThrows(loop(head), GpuError, message);
  }
});
