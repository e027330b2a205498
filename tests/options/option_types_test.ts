/** The interfaces of options match their schemas, comments included. */
import { assertEquals, assertThrows } from "@std/assert";
import { z } from "zod";
import { OptionsError } from "../../src/options/faults.ts";
import { defineOptions, type Options } from "../../src/options/schema.ts";
import { pretrainOptions } from "../../src/train/options.ts";
import { fileOf, optionTypes } from "./option_types.ts";

Deno.test("interfaces of options are as their schemas have them", async () => {
  for (const [path, source] of await optionTypes()) {
    const there = await Deno.readTextFile(fileOf(path));
    assertEquals(there, source, `${path} is out of date: run deno task options`);
  }
});

Deno.test("the compiler holds a schema to its interface, both ways", () => {
  const inferred = defineOptions({ fields: { steps: z.number(), seed: z.number().optional() } });
  const _same: Options<{ steps: number; seed?: number }> = inferred;
  // @ts-expect-error the interface knows less than the schema
  const _wider: Options<{ steps: number | string; seed?: number }> = inferred;
  // @ts-expect-error the interface says more than the schema
  const _narrower: Options<{ steps: 1 | 2; seed?: number }> = inferred;
  // @ts-expect-error an option that the schema does not have
  const _more: Options<{ steps: number; seed?: number; rank: number }> = inferred;
});

Deno.test("what a program writes down is typed, what comes from elsewhere is checked", () => {
  const { seed } = pretrainOptions.parse({ model: "llama_nano", data: ["a.txt"], output: "run" });
  assertEquals(seed, 42);
  assertThrows(
    () => pretrainOptions.parseUnknown({ model: "llama_nano" }),
    OptionsError,
    "data: is",
  );
});
