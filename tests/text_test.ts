import { assertEquals } from "@std/assert";
import {
  camelCase,
  formatBytes,
  formatCount,
  formatDuration,
  kebabCase,
  snakeCase,
} from "../src/text.ts";

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
  const [seconds, expected] of [
    [0.331, "331 ms"],
    [0.9996, "1.0 s"],
    [59.96, "1 min"],
    [200, "3 min 20 s"],
    [3599.7, "1 h"],
    [19_200, "5 h 20 min"],
    [86_399, "1 d"],
    [1e8, "1157 d 10 h"],
  ] as const
) {
  Deno.test(`${seconds} seconds`, () => assertEquals(formatDuration(seconds), expected));
}

for (
  const [count, expected] of [
    [1234, "1,234"],
    [999_999, "1.00 million"],
    [58_073_600, "58.1 million"],
    [999.6e6, "1.00 billion"],
    [3e13, "30.0 trillion"],
  ] as const
) {
  Deno.test(`a count of ${count}`, () => assertEquals(formatCount(count), expected));
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
