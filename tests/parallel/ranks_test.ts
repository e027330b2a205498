/** Processes that speak to each other through MPI. */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { launched, launcherWords } from "../../src/parallel/launch.ts";
import { ALONE } from "../../src/parallel/ranks.ts";
import { inRanks, mpiTest } from "./support.ts";

for (const size of [2, 4]) {
  mpiTest(`${size} ranks sum in their order, hear rank 0 and each other, and give`, async () => {
    const { code, stderr, reports } = await inRanks(size, "speak.ts", []);
    assertEquals(code, 0, stderr);
    const large = [2 ** 24, 1, -(2 ** 24), 1].slice(0, size);
    const inOrder = large.reduce((sum, value) => Math.fround(sum + value), 0);
    const values = Array.from(
      { length: 1001 },
      (_, i) => i % 2 ? inOrder : size * i + size * (size - 1) / 2,
    );
    assertEquals(
      reports.flat(),
      Array.from({ length: size }, (_, rank) => ({
        rank,
        size,
        values,
        sent: 2 * (size - 1) * 4 * Math.ceil(1001 / size),
        broadcast: [0, 1],
        // Each value but those of its own share goes to one other, each byte of that to all.
        shares: {
          sums: Array(rank + 1).fill(inOrder),
          sent: 4 * (size * (size + 1) / 2 - (rank + 1)),
        },
        collected: {
          bytes: Array.from({ length: size }, (_, rank) => Array(rank + 1).fill(rank + 1)).flat(),
          sent: (size - 1) * (rank + 1),
        },
        halves: { values: sumsOfHalves(size), sent: 2 * (size - 1) * 2 * Math.ceil(101 / size) },
        gift: [rank === 0 ? size - 1 : rank, 9],
        gathered: Array.from({ length: size }, (_, rank) => "é".repeat(rank)),
        empty: Array(size).fill(0),
      })),
    );
  });
}

/** What speak.ts adds in bfloat16. */
function sumsOfHalves(size: number): number[] {
  return Array.from({ length: 101 }, (_, i) => {
    const parts = Array.from(
      { length: size },
      (_, rank) => half(Math.fround(Math.sin(i + rank) * 3 ** (i % 7))),
    );
    return half(parts.reduce((sum, part) => Math.fround(sum + part)));
  });
}

/** The nearest number of eight significant bits; of two, that whose last is 0. */
function half(value: number): number {
  if (value === 0) return value;
  const unit = 2 ** (Math.floor(Math.log2(Math.abs(value))) - 7), units = value / unit;
  const below = Math.floor(units), above = units - below;
  const up = above > 0.5 || (above === 0.5 && below % 2 !== 0);
  return (up ? below + 1 : below) * unit;
}

mpiTest(
  "a rank on another path than the others ends them all, and each says where it is",
  async () => {
    const { code, reports } = await inRanks<{ error: string; again: string; closed: string }>(
      3,
      "apart.ts",
      [],
    );
    assert(code !== 0);
    const [[first], [second], [third]] = reports;
    // The first has come to a gathering as the others add, and leaves at once.
    assertMatch(
      first.error,
      /rank 0 is at operation 2, gather of 3 B, rank [12] at operation 2, sum/,
    );
    for (const [rank, { error }] of [[1, second], [2, third]] as const) {
      assertStringIncludes(
        error,
        `rank ${rank} is at operation 2, sum of 8 B, rank 0 at operation 2`,
      );
    }
    for (const { error, again, closed } of [first, second, third]) {
      assertEquals([again, closed], [error, error]);
    }
  },
);

mpiTest("a rank that does not come is named, and given up once the run is to stop", async () => {
  interface Report {
    readonly said: [string, number[]];
    readonly error: string;
    readonly isOthers: boolean;
  }
  const { reports } = await inRanks<Report>(2, "late.ts", []);
  const [[{ said, error, isOthers }]] = reports;
  assertEquals(said, ["rank 0 has waited 1 s for rank 1 (operation 1, gather of 1 B)", [1]]);
  assert(isOthers);
  assertMatch(error, /^the run is to stop, and rank 0 has waited \d s for rank 1 \(operation 1/);
});

mpiTest("without the permission for the library it is named", async () => {
  const permissions = ["--allow-env", "--allow-read", "--no-prompt"];
  const { code, stderr } = await inRanks(2, "speak.ts", [], permissions);
  assertEquals(code, 1);
  assertStringIncludes(stderr, "an MPI launcher started this process with others");
  assertStringIncludes(stderr, "Requires ffi access to");
  assertStringIncludes(stderr, "libmpi");
});

Deno.test("a launcher tells by the environment, as far as that makes sense", () => {
  const told = (variables: Record<string, string>) => launched((name) => variables[name]);
  assertEquals(told({}), undefined);
  assertEquals(told({ OMPI_COMM_WORLD_SIZE: "4", OMPI_COMM_WORLD_RANK: "3" }), {
    family: "openmpi",
    rank: 3,
    size: 4,
    variable: "OMPI_COMM_WORLD_SIZE",
  });
  const mpich = { family: "mpich", rank: 0, size: 2, variable: "PMI_SIZE" } as const;
  assertEquals(told({ PMI_SIZE: "2", PMI_RANK: "0" }), mpich);
  assertEquals(launcherWords(mpich), ["mpirun", "-n", "2"]);
  // `mpirun -n 1`, and variables of something else.
  assertEquals(told({ PMI_SIZE: "1", PMI_RANK: "0" }), undefined);
  assertEquals(told({ OMPI_COMM_WORLD_SIZE: "2" }), undefined);
  assertEquals(told({ OMPI_COMM_WORLD_SIZE: "two", OMPI_COMM_WORLD_RANK: "0" }), undefined);
});

Deno.test("a process by itself has nobody to wait for", async () => {
  const values = Float32Array.of(1, 2), bytes = Uint8Array.of(3);
  await ALONE.sum(values);
  await ALONE.broadcast(bytes);
  assertEquals([values, bytes], [Float32Array.of(1, 2), Uint8Array.of(3)]);
  assertEquals(await ALONE.gather(bytes), [bytes]);
  assertEquals([ALONE.rank, ALONE.size, ALONE.sentBytes], [0, 1, 0]);
});
