/** Reads through staging buffers of which one fails, on a played device. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { ReadBack, type ReadDevice } from "../../src/gpu/read_back.ts";

Deno.test("of a read that fails nothing more comes, and those after it are read", async () => {
  const fails = Promise.withResolvers<void>(), come = Promise.withResolvers<void>();
  let maps = 0, copied = 0;
  const staging = (size: number) => {
    let filled = 0;
    return {
      size,
      // The second of the first read fails, and the others come after that.
      mapAsync: async () => {
        filled = ++maps;
        if (filled === 2) return await fails.promise;
        if (filled < 5) await come.promise;
      },
      getMappedRange: (_: number, bytes: number) => new Uint8Array(bytes).fill(filled).buffer,
      unmap: () => {},
      destroy: () => {},
    } as unknown as GPUBuffer;
  };
  const encoder = { copyBufferToBuffer: () => copied++, finish: () => ({}) };
  const device = { createCommandEncoder: () => encoder, queue: { submit: () => {} } };
  const reads = new ReadBack(
    {
      device: device as unknown as GPUDevice,
      staging,
      check: () => Promise.resolve(),
      causeOf: (error) => Promise.resolve(error),
    } satisfies ReadDevice,
  );
  const from = (name: string) => ({
    ...{ name, buffer: {} as GPUBuffer, offset: 0 },
    assertHeld: () => {},
  });
  // Through four of 4 MiB at once.
  const large = new Uint8Array(24 << 20), next = new Uint8Array(4);
  const failed = assertRejects(
    () => reads.read(from("x"), large),
    Error,
    "read x: the card is gone",
  );
  const read = reads.read(from("y"), next);
  await Promise.resolve();
  fails.reject(new Error("the card is gone"));
  await Promise.all([failed, read]);
  come.resolve();
  await new Promise((resolve) => setTimeout(resolve));
  assertEquals([copied, maps, next[0]], [5, 5, 5]);
  assert(large.every((byte) => byte === 0));
});
