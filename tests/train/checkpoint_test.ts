import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { createHash } from "node:crypto";
import { diskFault, DiskFullError } from "../../src/files/disk_error.ts";
import { spell } from "../../src/options/phrase.ts";
import { PROPERTIES } from "../../src/options/spelling.ts";
import { explain, UserError } from "../../src/options/user_error.ts";
import type { RunOptions } from "../../src/train/recipe.ts";
import { makeOutput, startingPoint } from "../../src/train/start.ts";
import {
  type CheckpointEntry,
  pruneCheckpoints,
  writeCheckpoint,
} from "../../src/train/checkpoint.ts";
import { Crc32 } from "../../src/formats/checkpoint/checksum.ts";
import { openCheckpoint } from "../../src/formats/checkpoint/contents.ts";
import { CheckpointError } from "../../src/formats/checkpoint/manifest.ts";
import { readCheckpoint } from "../../src/formats/checkpoint/reader.ts";

async function* inPieces(bytes: Uint8Array, size: number) {
  for (let start = 0; start < bytes.length; start += size) {
    await Promise.resolve();
    yield bytes.subarray(start, start + size);
  }
}

const WEIGHT = Uint8Array.from({ length: 1001 }, (_, index) => index * 7);
// Longer than what is read at once, and not a multiple of it.
const LONG = Uint8Array.from({ length: (4 << 20) + 5 }, (_, index) => index % 251);
const STATE = { epoch: 3, cursor: [1, 2], note: "é", missing: undefined };

const entries = (): CheckpointEntry[] => [
  { name: "weight", data: WEIGHT },
  { name: "long", data: inPieces(LONG, 999_983) },
  { name: "empty", data: new Uint8Array(0) },
];

/** A test in a temporary folder. */
function folderTest(name: string, run: (output: string) => Promise<void>) {
  Deno.test(name, async () => {
    const output = await Deno.makeTempDir();
    try {
      await run(join(output, "run"));
    } finally {
      await Deno.remove(output, { recursive: true });
    }
  });
}

const write = (output: string, step: number) =>
  writeCheckpoint(output, { step, entries: entries(), state: STATE });

/** As a run finds its checkpoint. */
const find = (output: string, resume: string | undefined, warnings: string[] = []) =>
  startingPoint(
    { output, resume, overwriteOutput: false } as RunOptions,
    "model",
    (warning) => warnings.push(spell(warning, PROPERTIES)),
  );

const names = (folder: string) => [...Deno.readDirSync(folder)].map(({ name }) => name).sort();

async function damage(path: string, change: (bytes: Uint8Array) => Uint8Array | void) {
  const bytes = await Deno.readFile(path);
  await Deno.writeFile(path, change(bytes) ?? bytes);
}

folderTest("a checkpoint reads back as it was written", async (output) => {
  const path = await write(output, 40);
  assertEquals(path, join(output, "checkpoint-40"));
  assertEquals(names(output), ["checkpoint-40"]);
  const checkpoint = await readCheckpoint(path);
  assertEquals(checkpoint.step, 40);
  assertEquals(checkpoint.state, { epoch: 3, cursor: [1, 2], note: "é" });
  assertEquals(checkpoint.names, ["weight", "long", "empty"]);
  assert(checkpoint.has("weight") && !checkpoint.has("bias"));
  assertEquals(checkpoint.bytes("long"), LONG.length);
  // In any order: entries are found by their offset.
  assertEquals(await checkpoint.read("empty"), new Uint8Array(0));
  const long = await checkpoint.read("long");
  assert(long.every((value, index) => value === LONG[index]));
  assertEquals(await checkpoint.read("weight"), WEIGHT);
  await checkpoint.verify();
});

folderTest("a step saved twice is the later one", async (output) => {
  await write(output, 1);
  await writeCheckpoint(output, { step: 1, entries: [], state: "second" });
  assertEquals((await readCheckpoint(join(output, "checkpoint-1"))).state, "second");
  assertEquals(names(output), ["checkpoint-1"]);
});

folderTest("an unknown entry is named, with a hint", async (output) => {
  const checkpoint = await readCheckpoint(await write(output, 1));
  const error = await assertRejects(
    () => checkpoint.read("bias"),
    CheckpointError,
    "no entry bias",
  );
  assertStringIncludes(error.hint!, "another optimizer");
});

folderTest("a shortened file is found before anything is read", async (output) => {
  const path = await write(output, 1);
  await damage(join(path, "entries.bin"), (bytes) => bytes.subarray(0, 500));
  await assertRejects(
    () => readCheckpoint(path),
    CheckpointError,
    `entries.bin has 500 bytes, expected ${WEIGHT.length + LONG.length}`,
  );
  await Deno.remove(join(path, "entries.bin"));
  await assertRejects(() => readCheckpoint(path), CheckpointError, "entries.bin is missing");
});

folderTest("a flipped bit is found while reading, in its entry and no other", async (output) => {
  const path = await write(output, 1);
  await damage(join(path, "entries.bin"), (bytes) => {
    bytes[WEIGHT.length + 12345] ^= 1;
  });
  const checkpoint = await readCheckpoint(path);
  assertEquals(await checkpoint.read("weight"), WEIGHT);
  const error = await assertRejects(() => checkpoint.read("long"), CheckpointError);
  assert(
    /long in .*entries\.bin has CRC-32 [0-9a-f]{8}, expected [0-9a-f]{8}/.test(error.message),
  );
  await assertRejects(() => checkpoint.verify(), CheckpointError, "long in");
});

folderTest("a changed or broken manifest is refused", async (output) => {
  const path = await write(output, 7), manifest = join(path, "manifest.json");
  const text = await Deno.readTextFile(manifest);
  await Deno.writeTextFile(manifest, text.replace('"epoch": 3', '"epoch": 4'));
  await assertRejects(() => readCheckpoint(path), CheckpointError, "manifest.json has SHA-256");
  await Deno.writeTextFile(manifest, text.slice(0, 100));
  await assertRejects(() => readCheckpoint(path), CheckpointError, "manifest.json is not JSON");
  await Deno.writeTextFile(manifest, text.replace('"format": 3', '"format": 4'));
  await assertRejects(
    () => readCheckpoint(path),
    CheckpointError,
    "has format 4, expected at most 3",
  );
  await Deno.remove(manifest);
  await assertRejects(() => readCheckpoint(path), CheckpointError, "cannot read");
});

Deno.test("an entry's checksum is the CRC-32 of zip and PNG", () => {
  // The check value of CRC-32/ISO-HDLC in Ross Williams' model: of the digits 1 to 9.
  const sum = new Crc32(), digits = new TextEncoder().encode("123456789");
  for (const piece of [digits.subarray(0, 4), digits.subarray(4)]) sum.update(piece);
  assertEquals(sum.digest(), "cbf43926");
});

Deno.test("constants of a group in eight bytes are read in four", async () => {
  const folder = fromFileUrl(import.meta.resolve("../fixtures/checkpoints/first"));
  using contents = await openCheckpoint(folder);
  const checkpoint = await readCheckpoint(folder);
  const written = await Deno.readFile(join(folder, "entries.bin"));
  const { entries } = checkpoint.manifest;
  const quantised = entries.filter(({ name }) => name.endsWith(".constants"));
  assertEquals(quantised.length, 28); // INT8 weights and INT4 projections of seven matrices, twice
  for (const { name, offset, bytes } of quantised) {
    // Pairs of float32: scale and zero point.
    const pairs = new Float32Array(written.slice(offset, offset + bytes).buffer);
    const words = await checkpoint.read(name);
    assertEquals([words.length, checkpoint.bytes(name)], [bytes / 2, bytes / 2]);
    const view = new DataView(words.buffer);
    for (let group = 0; group < pairs.length / 2; group++) {
      const [scale, zero] = pairs.subarray(2 * group);
      const moved = Math.abs(view.getFloat32(4 * group, true) / scale - 1);
      assert(moved <= 2 ** -16, `scale ${scale} of ${name} moved by ${moved}`);
      assertEquals(words[4 * group], zero);
    }
  }
  const { weight } = contents.parameters.layers[1].down.weight;
  const constants = await contents.reader.read(weight.constants!);
  assertEquals(constants, await checkpoint.read(weight.constants!.name));
  assertEquals(await contents.reader.read(weight.constants!, 8, 12), constants.slice(8, 20));
});

folderTest(
  "a checkpoint of an earlier version, with SHA-256, is read and checked",
  async (output) => {
    const path = join(output, "checkpoint-5"),
      sha256 = (bytes: Uint8Array | string) => createHash("sha256").update(bytes).digest("hex");
    await Deno.mkdir(path, { recursive: true });
    await Deno.writeFile(join(path, "entries.bin"), WEIGHT);
    const entry = { name: "weight", offset: 0, bytes: WEIGHT.length, sha256: sha256(WEIGHT) };
    const content = { format: 1, step: 5, bytes: WEIGHT.length, entries: [entry], state: STATE };
    const manifest = { ...content, sha256: sha256(JSON.stringify(content)) };
    await Deno.writeTextFile(join(path, "manifest.json"), JSON.stringify(manifest, null, 1) + "\n");
    assertEquals(await (await readCheckpoint(path)).read("weight"), WEIGHT);
    assertEquals((await find(output, "auto"))?.step, 5);
    await damage(join(path, "entries.bin"), (bytes) => {
      bytes[77] ^= 4;
    });
    await assertRejects(
      async () => await (await readCheckpoint(path)).verify(),
      CheckpointError,
      `has SHA-256 `,
    );
  },
);

folderTest(
  "auto takes the newest whole checkpoint and says why it passes others over",
  async (output) => {
    assertEquals(await find(output, "auto"), undefined);
    for (const step of [9, 10, 100]) await write(output, step);
    assertEquals((await find(output, "auto"))?.step, 100);
    await damage(join(output, "checkpoint-100", "entries.bin"), (bytes) => {
      bytes[3] ^= 128;
    });
    await Deno.remove(join(output, "checkpoint-10", "manifest.json"));
    await Deno.mkdir(join(output, "checkpoint-200.tmp"));
    const warnings: string[] = [];
    const found = await find(output, "latest", warnings);
    assertEquals(found?.step, 9);
    assertEquals(warnings.length, 2);
    assertStringIncludes(warnings[0], `skipping ${output}/checkpoint-100: checkpoint: weight in`);
    assertStringIncludes(warnings[1], `skipping ${output}/checkpoint-10: checkpoint: cannot read`);
  },
);

folderTest(
  "with no whole checkpoint left, auto does not start over what else is there",
  async (output) => {
    const warnings: string[] = [];
    await find(output, "auto", warnings);
    assertEquals(warnings, [`resume: "auto": ${output} holds no run yet: it starts at step 1`]);
    await Deno.mkdir(output);
    const lines = [1, 2].map((step) => JSON.stringify({ step, loss: 1 }) + "\n");
    await Deno.writeTextFile(join(output, "metrics.jsonl"), lines.join(""));
    assertEquals(await find(output, "auto", warnings), undefined);
    assertStringIncludes(
      warnings[1],
      "has the figures of 2 steps, but no checkpoint: their weights are",
    );
    await write(output, 5);
    await Deno.remove(join(output, "checkpoint-5", "manifest.json"));
    const error = await assertRejects(() => find(output, "auto"), UserError);
    assertStringIncludes(
      error.message,
      "no checkpoint to continue from, but 1 damaged checkpoint,",
    );
    assertStringIncludes(error.hint!, "add overwriteOutput: true in place of resume to start over");
    await Deno.remove(join(output, "checkpoint-5"), { recursive: true });
    const model = join(output, "model"), config = join(model, "config.json");
    await Deno.mkdir(model);
    assertEquals(await find(output, "auto"), undefined); // of an empty folder nothing would be lost
    await Deno.writeTextFile(config, "{}");
    const kept = `a model (${model}), which a new run would replace`;
    await assertRejects(() => find(output, "auto"), UserError, `to continue from, but ${kept}`);
    // Whoever made it, and also where the run comes from elsewhere.
    const fresh = await assertRejects(() => find(output, undefined), UserError, `holds ${kept}`);
    assertEquals(
      fresh.hint,
      "add overwriteOutput: true to replace it, or choose another output",
    );
    const other = await write(join(output, "other"), 5);
    await assertRejects(
      () => find(output, other),
      UserError,
      `already holds a model (${model}), which the run would replace`,
    );
    // The result of another method stays.
    await Deno.rename(model, join(output, "adapter"));
    assertEquals(await find(output, undefined), undefined);
  },
);

folderTest("a checkpoint given by its path is that one, or an error", async (output) => {
  const path = await write(output, 5);
  await assertRejects(() => find(output, join(output, "..")), CheckpointError, "cannot read");
  assertEquals((await find(output, path))?.step, 5);
  await write(output, 6);
  const warnings: string[] = [];
  assertEquals((await find(output, path, warnings))?.step, 5);
  assertEquals(warnings, [
    "the run continues from step 5: its later checkpoints (steps 6) are removed once a new one is saved",
  ]);
  // The folder of a run is its newest one.
  assertEquals((await find(join(output, "other"), output))?.step, 6);
  // Read whole before anything else is done.
  await damage(join(path, "entries.bin"), (bytes) => void (bytes[2000] ^= 1));
  await assertRejects(() => find(join(output, "other"), path), CheckpointError, "long in");
});

folderTest(
  "a run that left a later course keeps what it saves, and removes that",
  async (output) => {
    for (const step of [10, 20, 40, 60]) await write(output, step);
    const path = (step: number) => join(output, `checkpoint-${step}`);
    // It resumed from 20 and saved 30.
    await write(output, 30);
    const removed = await pruneCheckpoints(output, 2, { current: 30 });
    assertEquals(removed, [path(40), path(60), path(10)]);
    assertEquals(names(output), ["checkpoint-20", "checkpoint-30"]);
    await pruneCheckpoints(output, 1, { spare: 20, current: 30 });
    assertEquals(names(output), ["checkpoint-20", "checkpoint-30"]);
  },
);

folderTest(
  "killed between the two names of a step saved twice: one of them is there",
  async (output) => {
    await write(output, 1);
    await Deno.rename(join(output, "checkpoint-1"), join(output, "checkpoint-1.old"));
    assertEquals((await find(output, "auto"))?.step, 1);
    await Deno.mkdir(join(output, "checkpoint-1.old"));
    await find(output, "auto");
    assertEquals(names(output), ["checkpoint-1"]);
  },
);

folderTest("pruning keeps the newest by number, and removes nothing else", async (output) => {
  assertEquals(await pruneCheckpoints(output, 2), []);
  for (const step of [9, 10, 100]) await write(output, step);
  await Deno.mkdir(join(output, "checkpoint-notes"));
  await Deno.writeTextFile(join(output, "metrics.jsonl"), "");
  assertEquals(await pruneCheckpoints(output, 2), [join(output, "checkpoint-9")]);
  assertEquals(names(output), [
    "checkpoint-10",
    "checkpoint-100",
    "checkpoint-notes",
    "metrics.jsonl",
  ]);
});

folderTest("what a killed process left behind goes with the next checkpoint", async (output) => {
  await Deno.mkdir(join(output, "checkpoint-3.tmp"), { recursive: true });
  await write(output, 4);
  assertEquals(names(output), ["checkpoint-4"]);
});

folderTest(
  "an entry that cannot be had leaves earlier checkpoints and no trace",
  async (output) => {
    await write(output, 1);
    async function* failing() {
      yield WEIGHT;
      await Promise.resolve();
      throw new UserError("the device was lost");
    }
    await assertRejects(
      () =>
        writeCheckpoint(output, {
          step: 2,
          entries: [{ name: "weight", data: failing() }],
          state: {},
        }),
      UserError,
      "the device was lost",
    );
    assertEquals(names(output), ["checkpoint-1"]);
    await (await readCheckpoint(join(output, "checkpoint-1"))).verify();
  },
);

folderTest(
  "a disk without the room for a checkpoint is not filled with part of it",
  async (output) => {
    const bytes = 2 ** 60, content = { step: 2, bytes, entries: entries(), state: {} };
    await write(output, 1);
    const error = await assertRejects(() => writeCheckpoint(output, content), DiskFullError);
    const text =
      /checkpoint-2: it needs .* PiB, but .* of the disk are free: .* are missing; earlier/;
    assert(text.test(error.message), error.message);
    assertEquals(names(output), ["checkpoint-1"]);
  },
);

folderTest("two entries of one name are refused", async (output) => {
  const twice = [{ name: "a", data: WEIGHT }, { name: "a", data: WEIGHT }];
  await assertRejects(
    () => writeCheckpoint(output, { step: 1, entries: twice, state: {} }),
    Error,
    "two entries have the same name",
  );
  assertEquals(names(output), []);
});

folderTest("a full disk is one clear message", async (output) => {
  await write(output, 1);
  // deno-lint-ignore require-yield
  async function* full() {
    await Promise.resolve();
    throw Object.assign(new Error("No space left on device (os error 28)"), { code: "ENOSPC" });
  }
  const error = await assertRejects(
    () => writeCheckpoint(output, { step: 2, entries: [{ name: "a", data: full() }], state: {} }),
    UserError,
    "checkpoint-2: No space left on device (os error 28); earlier checkpoints are untouched",
  );
  assertStringIncludes(explain(error), "hint: free some space, or keep fewer with keepCheckpoints");
  assertEquals(names(output), ["checkpoint-1"]);
});

const quietly = (...[program, ...args]: string[]) =>
  new Deno.Command(program, { args, stdout: "null", stderr: "null" }).output()
    .then(({ success }) => success, () => false);

// Room for one checkpoint and a half. Needs permission to mount, which not every machine grants.
const disk = await Deno.makeTempDir();
const mounted = await quietly("mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", disk);

Deno.test({
  name: "a disk that really is full: earlier checkpoints stay whole",
  ignore: !mounted,
  fn: async () => {
    await write(disk, 1);
    await assertRejects(() => write(disk, 2), UserError, "No space left on device");
    assertEquals(names(disk), ["checkpoint-1"]);
    await (await readCheckpoint(join(disk, "checkpoint-1"))).verify();
  },
});

Deno.test.afterAll(async () => {
  if (mounted) await quietly("umount", disk);
  await Deno.remove(disk, { recursive: true });
});

folderTest(
  "an output that the disk does not take is the disk's fault, not an option's",
  async (output) => {
    const { makeTempFile } = Deno;
    const full = { message: "No space left on device (os error 28)", code: "ENOSPC" };
    const denied = { message: "Permission denied (os error 13)", code: "EACCES" };
    try {
      for (const [error, fault] of [[full, "disk_full"], [denied, "disk_error"]] as const) {
        Deno.makeTempFile = () => Promise.reject(Object.assign(new Error(error.message), error));
        const refusal = await assertRejects(
          () => makeOutput(output),
          UserError,
          `cannot be written to: ${error.message}`,
        );
        assertEquals(diskFault(refusal), fault);
      }
    } finally {
      Deno.makeTempFile = makeTempFile;
    }
    await makeOutput(output);
    // What a run writes at its end.
    await Deno.writeTextFile(join(output, "model"), "");
    await assertRejects(() => makeOutput(output), UserError, "model is no folder");
    await Deno.remove(join(output, "model"));
    await Deno.mkdir(join(output, "summary.json"));
    await assertRejects(() => makeOutput(output), UserError, "summary.json is a folder");
    await Deno.remove(join(output, "summary.json"));
  },
);
