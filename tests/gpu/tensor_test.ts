import { assertEquals } from "@std/assert";
import { PlanAllocator } from "../../src/gpu/allocator.ts";
import { ShapeError } from "../../src/numbers/shape_error.ts";
import { bytesOf, elementOffset, storedElements } from "../../src/numbers/layout.ts";
import { expectDType, expectShape, rowRange, viewAs } from "../../src/gpu/tensor.ts";
import { assertRefuses } from "../support_errors.ts";

const plan = new PlanAllocator();
const make = (shape: readonly number[], dtype: "float32" | "bfloat16" | "int8" | "int4") =>
  plan.tensor({
    name: "t",
    shape,
    dtype,
    purpose: "weights",
    groupSize: dtype.startsWith("int") ? 64 : undefined,
  });

Deno.test("rows are padded to eight elements, and bytes follow the format", () => {
  const bytes = { float32: 3 * 5464 * 4, bfloat16: 3 * 5464 * 2, int8: 3 * 5464, int4: 3 * 2732 };
  for (const dtype of ["float32", "bfloat16", "int8", "int4"] as const) {
    const tensor = make([3, 5461], dtype);
    assertEquals(tensor.stride, 5464);
    assertEquals(tensor.byteLength, bytes[dtype]);
    assertEquals(storedElements(tensor), 3 * 5464);
  }
  // 3 · 5464 elements in groups of 64: the last one is not full.
  assertEquals(make([3, 5461], "int8").constants!.shape, [257]);
  assertEquals(bytesOf("int4", 9), 8, "whole words");
});

Deno.test("a plan counts every byte by purpose, constants on their own", () => {
  const own = new PlanAllocator();
  own.tensor({ name: "w", shape: [4, 64], dtype: "int8", purpose: "weights", groupSize: 64 });
  own.tensor({ name: "a", shape: [2, 3], dtype: "bfloat16", purpose: "activations" });
  own.texture({ name: "s", width: 3, height: 5, purpose: "workspace" });
  const { live, peak, byPurpose } = own.account;
  assertEquals(byPurpose.weights, 256);
  assertEquals(byPurpose.quantisation_constants, 4 * 4);
  assertEquals(byPurpose.activations, 2 * 8 * 2);
  assertEquals(byPurpose.workspace, 3 * 5 * 16);
  assertEquals([live, peak], [256 + 16 + 32 + 240, 544]);
});

Deno.test("a row range knows where it begins, in bytes and in elements", () => {
  const range = rowRange(make([128, 40], "int4"), 64, 100);
  assertEquals([range.shape, range.byteOffset, range.byteLength], [[36, 40], 1280, 720]);
  assertEquals(elementOffset(range), 64 * 40);
  assertRefuses(() => rowRange(make([4, 8], "float32"), 2, 5), ShapeError, "[2, 5) of t");
});

Deno.test("views keep within what is there", () => {
  const scratch = make([100], "float32");
  assertEquals(viewAs(scratch, "v", [3, 30]).byteLength, 3 * 32 * 4);
  assertRefuses(() => viewAs(scratch, "v", [4, 30]), ShapeError, "v (4, 30) needs 512 bytes");
});

Deno.test("bad shapes and formats are named with what would be right", () => {
  assertRefuses(() => make([0, 3], "float32"), ShapeError, "sizes must be positive, got (0, 3)");
  assertRefuses(
    () => plan.tensor({ name: "q", shape: [8], dtype: "int8", purpose: "weights", groupSize: 12 }),
    ShapeError,
    "the group size of int8 must be a multiple of 8, got 12",
  );
  const tensor = make([2, 3], "float32");
  assertRefuses(
    () => expectShape("op", "x", tensor, [3, 2], "turned?"),
    ShapeError,
    "op: x must be (3, 2), got (2, 3)\n  hint: turned?",
  );
  assertRefuses(
    () => expectDType("op", "x", tensor, "bfloat16", "int8"),
    ShapeError,
    "op: x must be bfloat16 or int8, got float32",
  );
});
