/** The command line, killed and resumed: nothing is lost, and the bits are the same. */
import { assert, assertEquals } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { FLAGS } from "../../src/options/spelling.ts";
import { trainingTest, withWorkshop, type Workshop } from "./support.ts";

const CLI = fromFileUrl(import.meta.resolve("../../cli.ts"));

/** Runs `pretrain` and kills it with SIGKILL once it has reported `killAfter` steps. */
async function pretrain(
  { options }: Workshop,
  name: string,
  { killAfter = Infinity, resume }: { killAfter?: number; resume?: string } = {},
): Promise<boolean> {
  const { model, data, output } = options(name);
  const given = {
    model,
    data: (data as string[])[0],
    output,
    steps: 12,
    saveEvery: 2,
    evalEvery: 0,
    rank: 16,
  };
  const sizes = { batchSize: 3, seqLen: 24, updateProjGap: 3, warmupSteps: 1, evalShare: 0.05 };
  const flags = Object.entries({ ...given, ...sizes, ...(resume ? { resume } : {}) })
    .flatMap(([option, value]) => [FLAGS.one({ option }), String(value)]);
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", CLI, "pretrain", "--json", ...flags],
    stdout: "piped",
    stderr: "null",
  }).spawn();
  let text = "";
  for await (const piece of child.stdout.pipeThrough(new TextDecoderStream())) {
    text += piece;
    if ((text.match(/"type":"step"/g)?.length ?? 0) >= killAfter) {
      child.kill("SIGKILL");
      break;
    }
  }
  return (await child.status).success;
}

trainingTest(
  "kill -9 at several steps, then --resume auto: the bits of the undisturbed run",
  () =>
    withWorkshop(async (workshop) => {
      const model = (name: string) =>
        Deno.readFile(join(workshop.options(name).output, "model/model.safetensors"));
      assert(await pretrain(workshop, "whole"));
      assert(!await pretrain(workshop, "broken", { killAfter: 3 }));
      assert(!await pretrain(workshop, "broken", { killAfter: 4, resume: "auto" }));
      assert(await pretrain(workshop, "broken", { resume: "auto" }));
      assertEquals(await model("broken"), await model("whole"));
      const metrics = join(workshop.options("broken").output, "metrics.jsonl");
      const steps = (await Deno.readTextFile(metrics)).trim().split("\n")
        .map((line) => JSON.parse(line).step);
      assertEquals(steps, Array.from({ length: 12 }, (_, i) => i + 1));
    }),
);
