/** `doctor`: reports this machine's adapter and limits, what is missing, and how to install it. */
import { describeAdapter, findAdapter } from "../gpu/adapter.ts";
import { defineOptions } from "../options/schema.ts";
import { UserError } from "../options/user_error.ts";
import { advise } from "./advice.ts";
import { type Command, EXIT, type Io } from "./command.ts";
import { diagnose, type Diagnosis, type SelfTest } from "./diagnosis.ts";
import { openChosenGpu } from "./open_gpu.ts";
import { selfTest } from "./self_test.ts";
import { cardLines, pciCards, vulkanCards } from "../host/cards.ts";
import { inspectSystem } from "../host/system.ts";

const options = defineOptions({ fields: {} });

export const doctor: Command = {
  name: "doctor",
  summary: "describe the adapter and its limits, and report what is missing",
  examples: ["doctor"],
  opensGpu: true,
  options,
  run,
};

async function run(_options: unknown, io: Io): Promise<number> {
  const adapter = await findAdapter();
  const diagnosis = diagnose({
    deno: Deno.version.deno,
    system: inspectSystem(),
    architecture: Deno.build.arch,
    adapter: adapter && {
      ...describeAdapter(adapter),
      limits: readLimits(adapter.limits),
    },
    cards: await vulkanCards() ?? pciCards(),
    selfTest: adapter ? await runSelfTest() : undefined,
  });
  io.result(diagnosis, render(diagnosis));
  return diagnosis.healthy ? EXIT.done : EXIT.failed;
}

/** Runs a kernel and checks its result: a device that opens need not compute correctly. */
async function runSelfTest(): Promise<SelfTest> {
  try {
    const gpu = await openChosenGpu();
    try {
      return await selfTest(gpu);
    } finally {
      gpu.close();
    }
  } catch (error) {
    const message = error instanceof UserError ? advise(error) : (error as Error).message;
    return { ok: false, message };
  }
}

/** Copies limits, which are prototype getters, to a plain object for printing. */
function readLimits(limits: GPUSupportedLimits): Record<string, number> {
  const plain: Record<string, number> = {};
  for (const name in limits) {
    const value = limits[name as keyof GPUSupportedLimits];
    if (typeof value === "number") plain[name] = value;
  }
  return plain;
}

function render(diagnosis: Diagnosis): string {
  const { deno, os, adapter, cards, vulkan_drivers, features, limits, self_test } = diagnosis;
  const lines = [`Deno ${deno} on ${os}`];
  if (vulkan_drivers.length) lines.push(`Vulkan drivers installed: ${vulkan_drivers.join(", ")}`);
  lines.push(
    adapter
      ? `Adapter: ${adapter.name} (${adapter.vendor}${adapter.software ? ", software" : ""})`
      : "Adapter: none",
  );
  if (cards.length > 1) lines.push("Cards:", ...cardLines(cards).map((line) => `  ${line}`));
  if (self_test) {
    lines.push(`Self-test: ${self_test.ok ? "passed" : "FAILED"}: ${self_test.message}`);
  }
  if (features.length) lines.push("", "Features", `  ${features.join(", ")}`);
  const entries = Object.entries(limits);
  if (entries.length) {
    lines.push("", "Limits", ...entries.map(([name, value]) => `  ${name.padEnd(36)}${value}`));
  }
  for (
    const [title, points] of [
      ["What this allows", diagnosis.allows],
      ["What is missing", diagnosis.missing],
    ] as const
  ) {
    if (points.length) lines.push("", title, ...points.map((point) => `  - ${point}`));
  }
  return lines.join("\n");
}
