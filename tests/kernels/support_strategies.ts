/** Kernels with every strategy, whatever the adapter: how tests run all their alternatives. */
import { assertEquals } from "@std/assert";
import { basename, fromFileUrl } from "@std/path";
import type { Capabilities } from "../../src/gpu/capabilities.ts";
import type { Gpu } from "../../src/gpu/gpu.ts";
import { type Kernel, KERNELS } from "../../src/gpu/kernel.ts";
import type { Constants } from "../../src/gpu/pipelines.ts";
import { LOOP_ROUNDS, STRATEGIES, type Strategy, strategyFor } from "../../src/kernels/strategy.ts";
import { gpuTest } from "../support.ts";

/** The device with other capabilities, until disposed of. */
function assume(gpu: Gpu, change: Partial<Capabilities>): Disposable {
  const { capabilities } = gpu;
  gpu.assume(change);
  return { [Symbol.dispose]: () => gpu.assume({ forced: undefined, ...capabilities }) };
}

/** Parts of the strategy, until disposed of. */
export function force(gpu: Gpu, forced: Partial<Strategy>): Disposable {
  return assume(gpu, { forced: { ...gpu.capabilities.forced, ...forced } });
}

/** As they are, and with loops so short that a row, a group or a block takes several threads. */
export const LOOPS: readonly Partial<Strategy>[] = [{}, { loopRounds: 16 }];

/** Also with lanes that do not hold a block between them: on a processor, and fewer on either. */
export const BLOCKS: readonly Partial<Strategy>[] = [
  {},
  { blockLanes: 1 },
  { blockLanes: 1, loopRounds: 16, loadsPerLane: 32 },
];

/** Forces each strategy in turn, with each of these changes. Yields a name for messages. */
export function* strategies(
  gpu: Gpu,
  changes: readonly Partial<Strategy>[] = [{}],
): Generator<string> {
  for (const name of NAMES) {
    for (const change of changes) {
      using _ = force(gpu, { ...strategyOf(gpu, name), ...change });
      yield `${name} ${JSON.stringify(change)}`;
    }
  }
}

/**
 * The same, and where threads of a card share a row by subgroups, also with subgroups of these sizes
 * if the adapter's are larger, or with none.
 */
export function* sharings(
  gpu: Gpu,
  changes?: readonly Partial<Strategy>[],
  sizes: readonly (number | null)[] = [null],
): Generator<string> {
  for (const name of strategies(gpu, changes)) {
    yield name;
    const { capabilities } = gpu, { subgroupSize } = capabilities;
    if (!subgroupSize || strategyFor(capabilities).loadsPerLane === Infinity) continue;
    for (const size of sizes.filter((size) => (size ?? 0) < subgroupSize[0])) {
      using _ = assume(gpu, { subgroupSize: size === null ? null : [size, size] });
      yield `${name}, ${size ?? "no"} subgroups`;
    }
  }
}

/** A test with each strategy. */
export function strategyTest(
  title: (strategy: string) => string,
  run: (gpu: Gpu, strategy: keyof typeof STRATEGIES) => Promise<void>,
): void {
  for (const name of NAMES) {
    gpuTest(title(name), async (gpu) => {
      using _ = force(gpu, strategyOf(gpu, name));
      await run(gpu, name);
    });
  }
}

const NAMES = Object.keys(STRATEGIES) as (keyof typeof STRATEGIES)[];

/** A card's loops may be as long as they like; on a software adapter they would end early. */
function strategyOf({ adapter }: Gpu, name: keyof typeof STRATEGIES): Strategy {
  const strategy = STRATEGIES[name];
  return adapter.software ? { ...strategy, loopRounds: LOOP_ROUNDS } : strategy;
}

/**
 * Shaders that share the test, the oracle, and possibly the launcher of another: variants with the
 * same result, or dispatches of one operation, are tested together.
 */
export const TESTED_AS: Record<string, string> = {
  rms_norm_backward_rows: "rms_norm_backward",
  matmul_texture: "matmul",
  matmul_tiled: "matmul",
  matmul_vector: "matmul",
  // Of one backward pass, the dispatch before dq and the one after: dk and dv.
  attention_delta: "attention_backward",
  attention_backward_queries: "attention_backward",
  attention_backward_keys: "attention_backward",
  rms_norm_backward_weight: "rms_norm_backward",
  column_moments: "adam_factored",
  row_squares: "channel_squares",
  column_squares: "channel_squares",
  stable_spam_largest: "stable_spam",
  stable_spam_threshold: "stable_spam",
  stable_spam_clip: "stable_spam",
  stable_spam_norm: "stable_spam",
  sum_parts: "sum",
  rope_cached: "rope",
  // The absolute maxima of NF4, quantised in turn.
  nf4_constants: "nf4_quantize",
  attention_few: "attention",
  attention_texture: "attention",
  attention_backward_scores_texture: "attention_backward",
  attention_backward_product_texture: "attention_backward",
};

/** More values are sizes, any of which will do: of a head, of a row's share. */
const MOST_ALTERNATIVES = 4;

/**
 * The last test of a file: that those before it ran every alternative of the file's kernels which
 * this adapter can run, each library and each value of a constant, if not every combination.
 */
export function testAlternatives(file: string): void {
  const path = fromFileUrl(file), test = basename(path, "_test.ts");
  const family = new URL(`../../shaders/${path.split(/[/\\]/).at(-2)}/`, import.meta.url);
  gpuTest(`every alternative of ${test} has run`, (gpu) => {
    const compiled = [...gpu.pipelines.compiled()];
    for (const { name } of Deno.readDirSync(family)) {
      const shader = basename(name, ".wgsl");
      if ((TESTED_AS[shader] ?? shader) !== test) continue;
      const text = Deno.readTextFileSync(new URL(name, family));
      const kernels = KERNELS.filter(({ code }) => code.includes(text));
      const ran = compiled.filter(([kernel]) => kernels.includes(kernel))
        .flatMap(([kernel, constants]) => alternativesOf(gpu, kernel, constants));
      const all = kernels.flatMap((kernel) => alternativesOf(gpu, kernel));
      const missing = [...new Set(all).difference(new Set(ran))];
      assertEquals([shader, kernels.length > 0, missing], [shader, true, []]);
    }
  });
}

/** The libraries of a kernel, and the values of its constants, or all that these may have. */
function alternativesOf(
  { capabilities: { features, subgroupSize } }: Gpu,
  { variants, constants, ...kernel }: Kernel,
  given?: Constants,
): string[] {
  if (!kernel.features.every((feature) => features.includes(feature))) return [];
  const possible = (name: string, value: number) =>
    name !== "NEAR" || value <= (subgroupSize?.[0] ?? 1);
  return [
    ...variants,
    ...constants.filter(({ values }) => values.length <= MOST_ALTERNATIVES).flatMap((
      { name, values },
    ) =>
      (given ? [given[name]] : values).filter((value) => possible(name, value))
        .map((value) => `${name} = ${value}`)
    ),
  ];
}
