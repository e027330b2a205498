/** Programs without types forget an `await`, or the device itself. */
import { isObject } from "../files/fields.ts";
import { UserError } from "../options/user_error.ts";
import { quoted } from "../text.ts";
import type { Gpu } from "./gpu.ts";

/** Throws a {@link UserError} if the value is no {@link Gpu}; one of another copy of this module is. */
export function assertGpu(gpu: unknown): asserts gpu is Gpu {
  if (isObject(gpu) && "account" in gpu) return;
  const got = isObject(gpu) ? `a ${gpu.constructor?.name ?? "plain object"}` : quoted(gpu, 40);
  throw new UserError(`gpu: must be a Gpu, got ${got}`, "open one with `await Gpu.open()`");
}
