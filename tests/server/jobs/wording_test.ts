import { assertEquals } from "@std/assert";
import { inClientTerms } from "../../../src/server/jobs/wording.ts";

Deno.test("paths become ids, flags the names of fields", () => {
  const said = "the held-out data (/srv/data/files/file-Ab3.jsonl…) has no examples\n" +
    "  hint: hold out more or give --eval-data; cannot write /srv/data/jobs/ftjob-x/checkpoint-4: " +
    "lower --warmup-steps or --data, a well--known word stays";
  assertEquals(
    inClientTerms(said, "/srv/data"),
    "the held-out data (file-Ab3…) has no examples\n" +
      "  hint: hold out more or give validation_file; cannot write ftjob-x/checkpoint-4: " +
      "lower warmup_steps or training_file, a well--known word stays",
  );
});
