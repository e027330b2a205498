import { assertAlmostEquals, assertEquals } from "@std/assert";
import {
  binaryScore,
  type Confusion,
  f1,
  matthews,
  meanScore,
  pooledScore,
} from "../../src/eval/metrics.ts";

interface Golden {
  readonly gold: number[];
  readonly predicted: number[];
  readonly f1: number;
  readonly mcc: number;
  readonly acc_stderr: number;
  readonly f1_stderr?: number;
  readonly mcc_stderr?: number;
}
/** By scikit-learn and lm-evaluation-harness: tests/golden/make_log_likelihoods.py. */
const golden: Golden[] = JSON.parse(
  await Deno.readTextFile(new URL("../fixtures/eval/metrics.json", import.meta.url)),
);

Deno.test("F1 and Matthews' correlation are scikit-learn's", () => {
  for (const { gold, predicted, ...expected } of golden) {
    assertAlmostEquals(binaryScore(f1, gold, predicted).value, expected.f1, 1e-12);
    assertAlmostEquals(binaryScore(matthews, gold, predicted).value, expected.mcc, 1e-12);
  }
});

Deno.test("numbers of scikit-learn's own documentation", () => {
  const counts = (gold: number[], predicted: number[]): Confusion => {
    const count = (a: number, b: number) =>
      gold.filter((g, i) => g === a && predicted[i] === b).length;
    return {
      truePositives: count(1, 1),
      falsePositives: count(0, 1),
      falseNegatives: count(1, 0),
      trueNegatives: count(0, 0),
    };
  };
  // matthews_corrcoef([+1, +1, +1, -1], [+1, -1, +1, +1]) = -0.33…
  assertAlmostEquals(matthews(counts([1, 1, 1, 0], [1, 0, 1, 1])), -1 / 3, 1e-12);
  // f1_score([0, 1, 1, 0, 1, 1], [0, 1, 0, 0, 1, 1]) = 0.857142…
  assertAlmostEquals(f1(counts([0, 1, 1, 0, 1, 1], [0, 1, 0, 0, 1, 1])), 6 / 7, 1e-12);
});

Deno.test("standard errors are the harness': of a mean exactly, bootstrapped within a tenth", () => {
  for (const { gold, predicted, ...expected } of golden) {
    const right = gold.map((label, i) => Number(label === predicted[i]));
    assertAlmostEquals(meanScore(right).stderr!, expected.acc_stderr, 1e-12);
    // Two estimates from 1000 and 2000 draws: each is off by 1/√(2·draws), 2 to 3 percent.
    const near = (actual: number | null, wanted: number) =>
      assertAlmostEquals(actual! / wanted, 1, 0.1);
    if (expected.f1_stderr) near(binaryScore(f1, gold, predicted).stderr, expected.f1_stderr);
    if (expected.mcc_stderr) {
      near(binaryScore(matthews, gold, predicted).stderr, expected.mcc_stderr);
    }
  }
});

Deno.test("the same error every time; none for a single question", () => {
  const { gold, predicted } = golden[2];
  assertEquals(binaryScore(f1, gold, predicted), binaryScore(f1, gold, predicted));
  assertEquals(meanScore([1]), { value: 1, stderr: null });
  assertEquals(binaryScore(f1, [1], [1]), { value: 1, stderr: null });
});

Deno.test("a pooled mean counts questions, and has no error where a part has none", () => {
  const parts = [{ value: 0.5, stderr: 0.1, size: 30 }, { value: 0.8, stderr: 0.05, size: 10 }];
  const { value, stderr } = pooledScore(parts);
  assertAlmostEquals(value, 0.575, 1e-12);
  // pooled_sample_stderr([0.1, 0.05], [30, 10]) of lm-evaluation-harness 0.4.13
  assertAlmostEquals(stderr!, Math.sqrt((29 * 0.01 * 30 + 9 * 0.0025 * 10) / 38 / 40), 1e-12);
  assertEquals(pooledScore([...parts, { value: 1, stderr: null, size: 1 }]).stderr, null);
});
