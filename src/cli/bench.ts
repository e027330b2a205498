/** `bench`: speed of the kernels on this adapter. */
import { z } from "zod";
import { UserError } from "../gpu/errors.ts";
import { defineOptions, section } from "../train/options_schema.ts";
import type { Command, Io } from "./command.ts";

const options = defineOptions({
  fields: section("Selection", {
    filter: z.string().min(1).optional().describe("only benchmarks whose name contains this"),
  }),
});
export type BenchOptions = ReturnType<typeof options.parse>;

export const bench: Command = {
  name: "bench",
  summary: "speed of the kernels on this adapter",
  examples: ["bench --filter matmul"],
  options,
  run,
};

function run(_options: BenchOptions, _io: Io): Promise<number> {
  throw new UserError("bench: not wired yet");
}
