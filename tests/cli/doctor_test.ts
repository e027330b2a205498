import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { diagnose, type Findings } from "../../src/cli/diagnosis.ts";
import { main } from "../../src/cli/main.ts";
import { driverAdvice, inspectSystem, type System } from "../../src/host/system.ts";

const SYSTEM: System = {
  os: "linux",
  distribution: "debian",
  root: false,
  container: false,
  graphicsDevice: true,
  vulkanDrivers: ["radeon"],
};

const CARD: NonNullable<Findings["adapter"]> = {
  vendor: "4318",
  architecture: "",
  device: "8710",
  description: "GeForce",
  software: false,
  features: ["timestamp-query"],
  limits: { maxBufferSize: 2 ** 31, maxStorageBufferBindingSize: 2 ** 31 },
};

function diagnosis(changes: Partial<Findings>) {
  return diagnose({
    deno: "2.9.6",
    architecture: "x86_64",
    system: SYSTEM,
    adapter: CARD,
    cards: [],
    selfTest: { ok: true, message: "" },
    ...changes,
  });
}

Deno.test("a card with everything required is healthy", () => {
  const { healthy, adapter, largest_preset, missing } = diagnosis({});
  assertEquals([healthy, largest_preset, missing], [true, "llama_7b", []]);
  assertEquals(adapter, { name: "GeForce", vendor: "NVIDIA", software: false });
});

Deno.test("no adapter: unhealthy, with what to install here", () => {
  const { healthy, missing } = diagnosis({ adapter: null, selfTest: undefined });
  assertEquals(healthy, false);
  assertStringIncludes(missing.join("\n"), "sudo apt-get install");
});

Deno.test("no adapter: whether DENO_WEBGPU_BACKEND is what excludes it", () => {
  const first = (interfaces?: string, os: System["os"] = "linux") =>
    driverAdvice({ ...SYSTEM, os, interfaces })[0];
  assertStringIncludes(first("vulcan"), 'DENO_WEBGPU_BACKEND is "vulcan"');
  assertStringIncludes(first("dx12", "windows"), "unset it, or set it to dx12 or vulkan");
  for (const right of [undefined, "vulkan", "metal, Vulkan"]) {
    assertStringIncludes(first(right), "apt-get install");
  }
});

Deno.test("an adapter that computes wrongly is unhealthy", () => {
  assertEquals(diagnosis({ selfTest: { ok: false, message: "differs" } }).healthy, false);
});

Deno.test("the largest preset is the last whose largest tensor fits a buffer", () => {
  // llama_60m: 4 · 32000 · 512 bytes; llama_130m needs half as much again.
  const limits = { maxBufferSize: 4 * 32000 * 512, maxStorageBufferBindingSize: 2 ** 27 };
  assertEquals(diagnosis({ adapter: { ...CARD, limits } }).largest_preset, "llama_60m");
  const none = diagnosis({ adapter: { ...CARD, limits: { ...limits, maxBufferSize: 1000 } } });
  assertEquals(none.largest_preset, null);
  assertStringIncludes(none.missing.join("\n"), "buffers large enough");
});

Deno.test("software and missing timestamps are named", () => {
  const { missing, healthy } = diagnosis({ adapter: { ...CARD, software: true, features: [] } });
  assert(healthy);
  assertStringIncludes(missing.join("\n"), "a real GPU");
  assertStringIncludes(missing.join("\n"), "timestamp-query");
});

for (
  const [changes, expected] of [
    [{}, "sudo apt-get update && sudo apt-get install"],
    [{ root: true }, "apt-get update && apt-get install"],
    [{ distribution: "ubuntu debian" }, "mesa-vulkan-drivers libvulkan1"],
    [{ distribution: "fedora" }, "dnf install"],
    [{ distribution: "arch" }, "pacman -S"],
    [{ distribution: "alpine" }, "apk add"],
    [{ distribution: "opensuse-leap suse opensuse" }, "zypper install"],
    [{ distribution: "slackware" }, "libvulkan.so.1"],
    [{ graphicsDevice: false }, "no graphics device"],
    [{ container: true }, "--device /dev/dri"],
    [{ os: "darwin" }, "Metal"],
    [{ os: "windows" }, "graphics driver"],
  ] as const
) {
  Deno.test(`driver advice for ${JSON.stringify(changes)}`, () => {
    assertStringIncludes(driverAdvice({ ...SYSTEM, ...changes }).join("\n"), expected);
  });
}

Deno.test("this system can be inspected", () => {
  assertEquals(inspectSystem().os, Deno.build.os);
});

Deno.test({
  name: "doctor runs its self-test on this machine's adapter",
  sanitizeOps: false,
  sanitizeResources: false,
  fn: async () => {
    const out: string[] = [];
    const terminal = {
      stdout: (line: string) => out.push(line),
      write: () => {},
      stderr: () => {},
      interactive: false,
      signal: new AbortController().signal,
    };
    assertEquals(await main(["doctor"], terminal), 0);
    assertStringIncludes(out.join("\n"), "Self-test: passed");
    assertEquals(await main(["doctor", "--json"], terminal), 0);
    const report = JSON.parse(out[1]);
    assertEquals([report.healthy, report.self_test.ok], [true, true]);
    assert(report.limits.maxBufferSize > 0);
  },
});
