import { assertEquals } from "@std/assert";
import { option, phrase } from "../../../src/options/phrase.ts";
import { inClientTerms } from "../../../src/server/jobs/wording.ts";

Deno.test("paths become ids, options the names of fields", () => {
  const explanation = {
    message: "the held-out data (/srv/data/files/file-Ab3.jsonl…) has no examples",
    hint: phrase`hold out more or give ${option("evalData")}; cannot write
      ${"/srv/data/jobs/ftjob-x/checkpoint-4"}: lower ${option("warmupSteps")} or
      ${option("data")}, a well--known word stays`,
  };
  assertEquals(
    inClientTerms(explanation, "/srv/data"),
    "the held-out data (file-Ab3…) has no examples\n" +
      "  hint: hold out more or give validation_file; cannot write ftjob-x/checkpoint-4: " +
      "lower warmup_steps or training_file, a well--known word stays",
  );
});
