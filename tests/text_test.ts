import { assertEquals } from "@std/assert";
import { camelCase, formatBytes, kebabCase, snakeCase } from "../src/text.ts";

for (
  const [bytes, digits, expected] of [
    [0, 3, "0 B"],
    [999, 3, "999 B"],
    [1000, 3, "0.977 KiB"],
    [65_536, 4, "64.00 KiB"],
    [14_050_000, 3, "13.4 MiB"],
    [2 ** 30, 4, "1.000 GiB"],
  ] as const
) {
  Deno.test(`${bytes} bytes in ${digits} digits`, () => {
    assertEquals(formatBytes(bytes, digits), expected);
  });
}

for (
  const [camel, snake, kebab] of [
    ["lr", "lr", "lr"],
    ["batchSize", "batch_size", "batch-size"],
    ["embeddingAdam8bit", "embedding_adam8bit", "embedding-adam8bit"],
  ] as const
) {
  Deno.test(`${camel}, ${snake}, ${kebab}`, () => {
    assertEquals([snakeCase(camel), kebabCase(camel)], [snake, kebab]);
    assertEquals([snake, kebab, camel].map(camelCase), [camel, camel, camel]);
  });
}
