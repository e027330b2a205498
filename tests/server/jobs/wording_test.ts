import { assertEquals } from "@std/assert";
import { option, phrase } from "../../../src/options/phrase.ts";
import { inClientTerms } from "../../../src/server/jobs/wording.ts";
import type { FileRecord } from "../../../src/server/store/records.ts";

const FILE = { id: "file-Ab3", filename: "a.jsonl" } as FileRecord;

const PLACES = {
  store: { files: { get: (id: string) => id === FILE.id ? FILE : undefined } },
  storage: {
    path: "/srv/data",
    filePath: ({ id }: { id: string }) => `/srv/data/files/${id}.jsonl`,
    jobFolder: (id: string) => `/srv/data/jobs/${id}`,
  },
};

Deno.test("paths become ids, options the names of fields", () => {
  const explanation = {
    message: "the held-out data (/srv/data/files/file-Ab3.jsonl…) has no examples",
    hint: phrase`hold out more or set ${option("evalData")}; cannot write
      ${"/srv/data/jobs/ftjob-x/checkpoint-4"}: lower ${option("warmupSteps")} or
      ${option("data")}, a well--known word stays, so does /jobs/other`,
  };
  const job = { id: "ftjob-x", trainingFiles: [FILE.id], validationFiles: ["file-gone"] };
  assertEquals(
    inClientTerms(explanation, job, PLACES),
    "the held-out data (file-Ab3…) has no examples\n" +
      "  hint: hold out more or set validation_file; cannot write ftjob-x/checkpoint-4: " +
      "lower warmup_steps or training_file, a well--known word stays, so does /jobs/other",
  );
});
