/** How many threads share a row or a block, and what they hold of it. */
import { assertEquals } from "@std/assert";
import { CONSUMER_CARD } from "../../src/gpu/capabilities.ts";
import { blocksBy, heldOf, kernelByLanes, lanesFor } from "../../src/kernels/lanes.ts";
import { HELD_IN_GROUPS, heldGroup } from "../../src/kernels/quantise/group_format.ts";

const device = (software: boolean, subgroup?: number) => {
  const subgroupSize = subgroup ? [subgroup, subgroup] as const : null;
  return { gpu: { capabilities: { ...CONSUMER_CARD, software, subgroupSize } } };
};

Deno.test("threads share a row once it would take one alone too many rounds of loops", () => {
  const lanes = (software: boolean) =>
    [64, 61_440, 61_441, 130_000].map((rounds) => lanesFor(device(software).gpu, rounds, rounds));
  assertEquals(lanes(true), [1, 1, 2, 4]);
  assertEquals(lanes(false), [16, 256, 256, 256]);
});

Deno.test("what a lane holds: by eight of a processor, or as many of a card as have four loads", () => {
  // By 8 and 32, 8 and 16, 8 and 16 lanes.
  assertEquals(heldOf({ octets: 32, loads: 4 }), [0, 1, 4]);
  assertEquals(heldOf({ octets: 16, loads: 4 }), [0, 1, 2]);
  assertEquals(heldOf({ octets: 32, loads: 2 }), [0, 2, 4]);
  assertEquals(HELD_IN_GROUPS, [0, 1, 2, 4]);
});

Deno.test("groups of any size are read once where their lanes can hold them", () => {
  const kernels = kernelByLanes("held", "// @use lanes_held\n", { heldOfBlock: HELD_IN_GROUPS });
  const by = (on: ReturnType<typeof device>) =>
    [8, 64, 96, 136, 256, 384, 4096].map((size) => {
      const { LANES, HELD, WHOLE } = blocksBy(on, kernels, heldGroup(size)).constants;
      return WHOLE ? `${LANES} x ${HELD}` : `${LANES}, ${HELD} of all`;
    });
  assertEquals(by(device(false)), [
    "1 x 1",
    "4 x 2",
    "8 x 2",
    "16 x 2",
    "16 x 2",
    "32 x 2",
    "256 x 2",
  ]);
  assertEquals(by(device(true, 8)), [
    "1 x 1",
    "8 x 1",
    "8 x 2",
    "8 x 4",
    "8 x 4",
    "1, 0 of all",
    "1, 0 of all",
  ]);
  const alone = Array(6).fill("1, 0 of all");
  assertEquals(by(device(true)), ["1 x 1", ...alone]);
});
