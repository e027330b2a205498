import { assert, assertEquals, assertRejects } from "@std/assert";
import { readAhead, type Steps } from "../../src/inference/read_ahead.ts";

/** A device that takes so long for a step, and a read that takes 11 ms longer, as in Deno. */
function device(stepMs: number) {
  const log: string[] = [];
  let submitted = 0, ready = 0;
  const steps: Steps = {
    submit(index) {
      assertEquals(index, submitted++, "in order");
      ready = Math.max(ready, performance.now()) + stepMs;
      log.push(`submit ${index}`);
    },
    async read(start, end) {
      log.push(`read ${start} to ${end}`);
      const until = ready + 11;
      const wait = Math.max(0, until - performance.now());
      await new Promise((resolve) => setTimeout(resolve, wait));
      return Array.from({ length: end - start }, (_, index) => 10 * (start + index));
    },
  };
  const reads = () =>
    log.filter((each) => each.startsWith("read")).map((each) => {
      const [, start, end] = each.match(/read (\d+) to (\d+)/)!;
      return Number(end) - Number(start);
    });
  return { steps, log, reads, submitted: () => submitted };
}

const tens = (count: number) => Array.from({ length: count }, (_, index) => 10 * index);

Deno.test("every result comes once, in order, and the first by itself", async () => {
  for (const count of [0, 1, 2, 3, 50]) {
    const { steps, reads, submitted } = device(0.1);
    assertEquals(await Array.fromAsync(readAhead(steps, count)), tens(count));
    assertEquals(submitted(), count);
    assertEquals(reads().reduce((sum, each) => sum + each, 0), count);
    if (count) assertEquals(reads()[0], 1);
  }
});

Deno.test("of a fast device several results are read at a time, of a slow one each", async () => {
  const fast = device(0.1);
  await Array.fromAsync(readAhead(fast.steps, 100));
  assert(fast.reads().length < 20, `${fast.reads()}`);
  const slow = device(30);
  await Array.fromAsync(readAhead(slow.steps, 6));
  assertEquals(slow.reads(), [1, 1, 1, 1, 1, 1]);
});

Deno.test("the next steps are submitted while a read waits", async () => {
  const { steps, log } = device(30);
  await Array.fromAsync(readAhead(steps, 3));
  assertEquals(log, [
    "submit 0",
    "read 0 to 1",
    "submit 1",
    "read 1 to 2",
    "submit 2",
    "read 2 to 3",
  ]);
});

Deno.test("whoever leaves early, or a signal, ends it with little done in vain", async () => {
  const left = device(1);
  for await (const result of readAhead(left.steps, 1000)) if (result === 300) break;
  assert(left.submitted() <= 31 + 2 * 16, `${left.submitted()}`);

  const stopped = device(1), controller = new AbortController(), seen: number[] = [];
  await assertRejects(
    async () => {
      for await (const result of readAhead(stopped.steps, 1000, controller.signal)) {
        seen.push(result);
        if (result === 200) controller.abort(new DOMException("enough", "AbortError"));
      }
    },
    DOMException,
    "enough",
  );
  assertEquals(seen, tens(21));
});

Deno.test("an error of a step or of a read ends it", async () => {
  const fails = (): never => {
    throw new Error("lost");
  };
  const { steps } = device(0);
  const submit = (index: number) => index > 2 ? fails() : steps.submit(index);
  await assertRejects(() => Array.fromAsync(readAhead({ ...steps, submit }, 9)), Error, "lost");
  const read = async () => await Promise.reject(new Error("lost"));
  await assertRejects(
    () => Array.fromAsync(readAhead({ ...device(0).steps, read }, 9)),
    Error,
    "lost",
  );
});
