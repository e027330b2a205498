/**
 * Describes an adapter in plain words. Pure, so that it can be tested for adapters we do not have.
 */
import { type AdapterDescription, adapterName } from "../gpu/adapter.ts";
import { type LlamaConfig, PRESETS } from "../model/config.ts";
import { formatBytes } from "../text.ts";
import type { Card } from "../host/cards.ts";
import { driverAdvice, type System } from "../host/system.ts";

export interface SelfTest {
  readonly ok: boolean;
  readonly message: string;
}

export interface Findings {
  readonly deno: string;
  readonly architecture: string;
  readonly system: System;
  readonly adapter:
    | AdapterDescription & { readonly limits: Readonly<Record<string, number>> }
    | null;
  readonly selfTest?: SelfTest;
  /** Of the machine, in the order of their numbers. */
  readonly cards: readonly Card[];
}

/** The output of `doctor --json`. */
export interface Diagnosis {
  readonly healthy: boolean;
  readonly deno: string;
  readonly os: string;
  readonly adapter:
    | { readonly name: string; readonly vendor: string; readonly software: boolean }
    | null;
  /** What `--gpu` chooses from: by its number here, or a part of its name. */
  readonly cards: readonly Card[];
  readonly vulkan_drivers: readonly string[];
  readonly features: readonly string[];
  /** The limits that decide what can run here. */
  readonly limits: Readonly<Record<string, number>>;
  readonly largest_preset: string | null;
  readonly self_test: SelfTest | null;
  readonly allows: readonly string[];
  readonly missing: readonly string[];
}

const SHOWN_LIMITS = [
  "maxBufferSize",
  "maxStorageBufferBindingSize",
  "maxStorageBuffersPerShaderStage",
  "maxStorageTexturesPerShaderStage",
  "maxTextureDimension2D",
  "maxComputeWorkgroupStorageSize",
  "maxComputeInvocationsPerWorkgroup",
  "maxComputeWorkgroupsPerDimension",
];

/** PCI vendor ids, by which drivers identify vendors. */
const VENDORS: Readonly<Record<number, string>> = {
  0x1002: "AMD",
  0x10de: "NVIDIA",
  0x8086: "Intel",
  0x106b: "Apple",
  0x13b5: "ARM",
  0x5143: "Qualcomm",
  0x1414: "Microsoft",
  0x10005: "Mesa",
};

export function diagnose(findings: Findings): Diagnosis {
  const { deno, architecture, system, adapter, selfTest, cards } = findings;
  const limits = Object.fromEntries(
    SHOWN_LIMITS.flatMap((name) => adapter?.limits[name] ? [[name, adapter.limits[name]]] : []),
  );
  const largest = adapter ? largestPreset(adapter.limits.maxBufferSize) : null;
  return {
    healthy: adapter !== null && selfTest?.ok !== false,
    deno,
    os: `${system.os} ${architecture}`,
    adapter: adapter && {
      name: adapterName(adapter),
      vendor: vendorName(adapter.vendor),
      software: adapter.software,
    },
    cards,
    vulkan_drivers: system.vulkanDrivers,
    features: adapter?.features ?? [],
    limits,
    largest_preset: largest,
    self_test: selfTest ?? null,
    allows: adapter ? allowed(adapter, largest) : [],
    missing: missing(adapter, system, largest),
  };
}

function allowed(adapter: NonNullable<Findings["adapter"]>, largest: string | null): string[] {
  const { maxBufferSize, maxStorageBufferBindingSize } = adapter.limits;
  const lines = [
    `one tensor may take ${formatBytes(maxBufferSize)}; a kernel sees ${
      formatBytes(maxStorageBufferBindingSize)
    } of it at once, larger ones are worked through in ranges`,
  ];
  if (largest) {
    lines.push(
      `every tensor of the presets up to ${largest} fits a buffer (its largest, the float32 ` +
        `gradient of its embedding: ${formatBytes(largestTensorBytes(presets[largest]))})`,
    );
  }
  lines.push(
    "WebGPU does not report how much memory the card has: `memory` prints what a run needs",
  );
  return lines;
}

function missing(
  adapter: Findings["adapter"],
  system: System,
  largest: string | null,
): string[] {
  if (!adapter) return ["an adapter: nothing runs without one", ...driverAdvice(system)];
  const lines: string[] = [];
  if (adapter.software) {
    lines.push(
      "a real GPU: this adapter runs on the CPU, correctly but slowly (llama_nano is small enough " +
        "for it)",
      ...(system.graphicsDevice ? driverAdvice(system) : []),
    );
  }
  if (!adapter.features.includes("timestamp-query")) {
    lines.push(
      "timestamp-query: kernels are timed with the CPU's clock; a newer driver may offer it",
    );
  }
  if (!largest) {
    lines.push("buffers large enough for any preset: pass a smaller config.json with --model");
  }
  return lines;
}

const presets: Readonly<Record<string, LlamaConfig>> = PRESETS;

/** The largest preset, by its largest tensor, that fits buffers of this size. */
function largestPreset(maxBufferSize: number): string | null {
  const fitting = Object.keys(presets)
    .filter((name) => largestTensorBytes(presets[name]) <= maxBufferSize);
  return fitting.at(-1) ?? null;
}

/** The float32 gradient of the embedding, or of a feed-forward matrix where that is larger. */
function largestTensorBytes({ vocabSize, hiddenSize, intermediateSize }: LlamaConfig): number {
  return 4 * hiddenSize * Math.max(vocabSize, intermediateSize);
}

function vendorName(vendor: string): string {
  return VENDORS[Number(vendor)] ?? (vendor || "unknown vendor");
}
