import { assertEquals } from "@std/assert";
import { whatIsLost } from "../../src/cli/training.ts";

Deno.test("a failed run says which steps could not be saved, and what is there", () => {
  const failed = { type: "failed", step: 52 } as const;
  const none = "52 steps up to 52 could not be saved: no checkpoint exists";
  assertEquals(whatIsLost({ ...failed, saved: {} }), none);
  const saved = (checkpoint_step: number) => ({ checkpoint: "run/checkpoint", checkpoint_step });
  const one = "1 step up to 52 could not be saved: the newest checkpoint is run/checkpoint";
  assertEquals(whatIsLost({ ...failed, saved: saved(51) }), one);
  assertEquals(whatIsLost({ ...failed, saved: saved(52) }), undefined);
  assertEquals(whatIsLost({ type: "failed", step: 0, saved: {} }), undefined);
});
