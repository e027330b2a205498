import { assert, assertEquals, assertRejects } from "@std/assert";
import { findAdapter } from "../../src/gpu/adapter.ts";
import { CONSUMER_CARD, openDevice } from "../../src/gpu/capabilities.ts";
import { gpuTest } from "../support.ts";

gpuTest("capabilities are what was granted, as plain data", (gpu) => {
  const { capabilities, device } = gpu;
  assertEquals(JSON.parse(JSON.stringify(capabilities)), capabilities);
  for (const feature of capabilities.features) assert(device.features.has(feature), feature);
  for (const [name, value] of Object.entries(capabilities.limits)) {
    assertEquals(device.limits[name as keyof typeof capabilities.limits], value, name);
  }
  assertEquals(Object.keys(CONSUMER_CARD.limits), Object.keys(capabilities.limits));
  const subgroups = device.features.has("subgroups");
  assertEquals(capabilities.subgroupSize !== null, subgroups);
  const [least, most] = capabilities.subgroupSize ?? [1, 1];
  assert(least >= 1 && most >= least);
});

/** An adapter that grants features if `allows` returns true. */
function adapterThat(allows: (features: readonly string[]) => boolean) {
  const asked: (readonly string[])[] = [];
  const adapter = {
    info: { vendor: "", architecture: "", device: "", description: "", subgroupMinSize: 8 },
    features: new Set(["shader-f16", "clip-distances"]),
    limits: CONSUMER_CARD.limits,
    requestDevice: ({ requiredFeatures }: GPUDeviceDescriptor) => {
      const features = [...requiredFeatures!];
      asked.push(features);
      if (!allows(features)) return Promise.reject(new TypeError("not a subset"));
      return Promise.resolve({ features: new Set<string>(features) });
    },
  } as unknown as GPUAdapter;
  return { adapter, asked };
}

Deno.test("subgroups are asked for though they are not listed, and done without where refused", async () => {
  const generous = adapterThat(() => true);
  const granted = await openDevice(generous.adapter);
  assertEquals(granted.capabilities.features, ["shader-f16", "subgroups"]);
  assertEquals(generous.asked, [["shader-f16", "subgroups"]]);
  const strict = adapterThat((features) => !features.includes("subgroups"));
  const { capabilities } = await openDevice(strict.adapter);
  assertEquals([capabilities.features, capabilities.subgroupSize], [["shader-f16"], null]);
  assertEquals(strict.asked, [["shader-f16", "subgroups"], ["shader-f16"]]);
  await assertRejects(() => openDevice(adapterThat(() => false).adapter), TypeError);
});

Deno.test("what the driver lists is what the adapter allows", async () => {
  const adapter = (await findAdapter())!;
  const { device, capabilities } = await openDevice(adapter);
  assertEquals(capabilities.features.includes("shader-f16"), adapter.features.has("shader-f16"));
  device.destroy();
});
