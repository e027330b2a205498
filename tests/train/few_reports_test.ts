import { assertEquals } from "@std/assert";
import { fewReports } from "../../src/train/few_reports.ts";
import type { ProgressEvent } from "../../src/train/events.ts";

Deno.test("each phase is reported as it begins, and its figures every half second", () => {
  let now = 1000;
  const sent: string[] = [];
  const report = fewReports((each) => {
    sent.push(each.type === "progress" ? `${each.phase} ${each.done ?? ""}` : each.what);
  }, () => now);
  const evaluating = (done: number): ProgressEvent => ({
    type: "progress",
    phase: "evaluating",
    step: 3,
    done,
  });
  for (let done = 0; done < 1000; done++, now += 0.1) report(evaluating(done));
  report({ type: "progress", phase: "saving a checkpoint", step: 3 });
  report(evaluating(1));
  report(evaluating(2));
  now += 499;
  report(evaluating(3));
  now += 1;
  report(evaluating(4));
  for (const share of [0, 0.5]) {
    report({ type: "preparation", what: "loading weights", share });
  }
  assertEquals(sent, [
    "evaluating 0",
    "saving a checkpoint ",
    "evaluating 1",
    "evaluating 4",
    "loading weights",
  ]);
});
