import { Buffer } from "node:buffer";
import zlib from "node:zlib";
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { ApiError } from "../../../src/server/api_error.ts";
import { checkFile } from "../../../src/server/files/check.ts";
import { MAX_RECORD_BYTES } from "../../../src/server/files/check_records.ts";
import type { Purpose } from "../../../src/server/store/file_kinds.ts";
import { GOOD_LINE, joinBytes } from "./support.ts";

const FIXTURES = new URL("../../fixtures/", import.meta.url);

async function check(
  content: string | Uint8Array,
  { filename = "data.jsonl", purpose = "fine-tune" as Purpose } = {},
): Promise<number> {
  const folder = await Deno.makeTempDir({ prefix: "check-" });
  try {
    const path = join(folder, "upload");
    await Deno.writeFile(path, joinBytes(content));
    return (await checkFile({ path, filename, purpose })).records;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function refused(...given: Parameters<typeof check>): Promise<string> {
  const error = await assertRejects(() => check(...given), ApiError);
  assertEquals([error.status, error.details.param], [400, "file"]);
  assertEquals(error.details.code, "invalid_file");
  return error.message;
}

const LAYOUTS = {
  openai: GOOD_LINE,
  sharegpt: '{"conversations":[{"from":"human","value":"a"},{"from":"gpt","value":"b"}]}',
  alpaca: '{"instruction":"a","input":"b","output":"c"}',
  completion: '{"prompt":"a","completion":"b"}',
  text: '{"text":"a"}',
};

Deno.test("lines of each layout are fine, however lines end", async () => {
  for (const line of Object.values(LAYOUTS)) {
    assertEquals(await check(`${line}\n${line}\n`), 2, line);
    assertEquals(await check(`\ufeff${line}\r\n\r\n  \n${line}`), 2, line);
    assertEquals(await check(`[${line},\n${line}]\n`, { filename: "data.json" }), 2, line);
  }
});

Deno.test("the first bad lines are reported, and their number", async () => {
  const bad = [
    "{oops",
    "[1]",
    "null",
    '{"a":1}',
    '{"messages":"no"}',
    '{"messages":[{"role":"x"}]}',
  ];
  const lines = [GOOD_LINE, ...bad, "", GOOD_LINE, ...Array(20).fill("{"), LAYOUTS.alpaca];
  const message = await refused(lines.join("\n"));
  assertStringIncludes(message, "27 of 29 records are invalid; nothing was stored:\n");
  assertStringIncludes(message, "\ndata.jsonl:2: is not valid JSON: ");
  assertStringIncludes(message, "\ndata.jsonl:4: a record must be a JSON object, got null\n");
  assertStringIncludes(message, '\ndata.jsonl:5: has no field "messages"; it has a\n');
  assertStringIncludes(message, '\ndata.jsonl:6: field "messages" must be a list of messages');
  assertStringIncludes(
    message,
    '\ndata.jsonl:7: messages[0].role is "x", no known role; known are ',
  );
  assertStringIncludes(message, "\ndata.jsonl:10: is not valid JSON");
  assertEquals(message.split("\n").length, 12);
  assert(message.endsWith("\nand 17 more"));
});

Deno.test("what is no UTF-8 is named by its line", async () => {
  const message = await refused(joinBytes(`${GOOD_LINE}\n`, new Uint8Array([0x22, 0xff, 0x22])));
  assertStringIncludes(message, "1 of 2 records are invalid");
  assertStringIncludes(message, "data.jsonl:2: is not UTF-8 text");
});

Deno.test("files without a record are refused", async () => {
  assertEquals(await refused(""), "The file is empty");
  assertStringIncludes(await refused("\n \r\n\t\n"), "no record");
  assertStringIncludes(await refused("[ ]", { filename: "a.json" }), "no record");
  assertStringIncludes(
    await refused("\ufeff \n", { filename: "a.txt", purpose: "pretrain" }),
    "only white space",
  );
});

Deno.test("an array that is truncated or followed by more is refused", async () => {
  const given = { filename: "a.json" };
  assertStringIncludes(await refused(`[${LAYOUTS.alpaca},`, given), "does not end");
  assertStringIncludes(await refused(`[${LAYOUTS.alpaca}] 1`, given), "more follows");
  assertStringIncludes(await refused(`[${LAYOUTS.alpaca},]`, given), "a.json:1: is not valid JSON");
});

Deno.test("texts to pre-train on need a text", async () => {
  const purpose = "pretrain";
  assertEquals(await check('{"text":"a"}\n{"text":"b","other":1}', { purpose }), 2);
  assertStringIncludes(await refused(GOOD_LINE, { purpose }), 'data.jsonl:1: has no field "text"');
  assertStringIncludes(
    await refused('{"text":1}', { purpose }),
    'data.jsonl:1: field "text" must be a string',
  );
  const txt = { filename: "a.txt", purpose } as const;
  // A character that two chunks share.
  assertEquals(await check("x".repeat(65_535) + "ü".repeat(9), txt), 0);
  assertStringIncludes(await refused(joinBytes("a", new Uint8Array([0xff])), txt), "bytes 0 and 2");
  assertStringIncludes(await refused(joinBytes("a", new Uint8Array([0xc3])), txt), "truncated");
});

Deno.test("a record that is too long ends the check at once", async () => {
  const long = `{"text":"${"x".repeat(MAX_RECORD_BYTES)}"}`;
  const message = await refused(`${LAYOUTS.text}\n\n${long}`);
  assertStringIncludes(message, "a record may have at most 4 MiB");
  await refused(`[${long}]`, { filename: "a.json" });
  await refused(" ".repeat(MAX_RECORD_BYTES + 2 ** 17));
  assertEquals(await check(`{"text":"${"x".repeat(MAX_RECORD_BYTES - 2 ** 17)}"}`), 1);
});

Deno.test("nesting that would end the stack is a bad line", async () => {
  const depth = 200_000;
  const message = await refused(`{"messages":${"[".repeat(depth)}${"]".repeat(depth)}}`);
  assertStringIncludes(message, "data.jsonl:1: ");
});

Deno.test("parquet needs its marks, its contents and the columns", async () => {
  const given = { filename: "a.parquet" };
  assertStringIncludes(await refused("PAR1", given), "not a Parquet file");
  assertStringIncludes(await refused(`PAR1${"x".repeat(100)}`, given), "not a Parquet file");
  assertStringIncludes(await refused(`PAR1${"\0".repeat(40)}PAR1`, given), "footer");
  const footer = new Uint8Array([0xff, 0xff, 0xff, 0x7f]);
  assertStringIncludes(await refused(joinBytes("PAR1", footer, "PAR1"), given), "row groups");
  const text = await Deno.readFile(new URL("server/text.parquet", FIXTURES));
  assertEquals(await check(text, { ...given, purpose: "pretrain" }), 2);
  const chats = await Deno.readFile(new URL("instruct/sharegpt.parquet", FIXTURES));
  assert(await check(chats, given) > 0);
  assertStringIncludes(await refused(chats, { ...given, purpose: "pretrain" }), 'no column "text"');
});

Deno.test("values of records are checked at upload as at training: line or row, and field", async () => {
  const [user, answer] = [{ role: "user", content: "q" }, { role: "assistant", content: "r" }];
  const message = await refused([
    GOOD_LINE,
    JSON.stringify({ messages: [user, { ...answer, weight: 2 }] }),
    JSON.stringify({ messages: [user, { ...answer, content: 7 }] }),
    JSON.stringify({ messages: [user, answer], chosen: ["a"] }),
    '{"messages":[{"role":"user","content":12345678901234567890}]}',
  ].join("\n"));
  for (
    const line of [
      "4 of 5 records are invalid",
      "data.jsonl:2: messages[1].weight must be 0 or 1, got 2 (an integer)",
      "data.jsonl:3: messages[1].content must be a string, got 7 (an integer)",
      'data.jsonl:4: field "chosen" (["a"]) is for preferences, which cannot be trained on',
      "data.jsonl:5: messages[0].content must be a string, got 12345678901234567890 (an integer)",
    ]
  ) assertStringIncludes(message, line);
  const given = { filename: "a.parquet" };
  const numbers = await Deno.readFile(new URL("instruct/numbers.parquet", FIXTURES));
  assertEquals(
    await refused(numbers, given),
    '2 of 2 records are invalid; nothing was stored:\na.parquet, row 1: field "output" must be a ' +
      'string, got 1 (an integer)\na.parquet, row 2: field "output" must be a string, got ' +
      "1152921504606846976 (an integer)",
  );
  for (const file of ["weights", "tools"]) {
    const bytes = await Deno.readFile(new URL(`instruct/${file}.parquet`, FIXTURES));
    assertEquals(await check(bytes, given), 1);
  }
});

Deno.test("every form that training reads is accepted, and judged by its readers", async () => {
  const indented = JSON.stringify(JSON.parse(GOOD_LINE), null, 2);
  assertEquals(await check(`${indented}\n${indented}\n`), 2);
  assertEquals(await check(`{"data": [${GOOD_LINE}, ${GOOD_LINE}]}`, { filename: "a.json" }), 2);
  const csv = `instruction,output\n"a, b","c\nd"\ne,f\n`;
  assertEquals(await check(csv, { filename: "a.csv" }), 2);
  assertEquals(await check(csv.replaceAll(",", "\t"), { filename: "A.TSV" }), 2);
  assertEquals(await check(zlib.gzipSync(csv), { filename: "a.csv.gz" }), 2);
  assertEquals(await check(zlib.zstdCompressSync(GOOD_LINE), { filename: "a.jsonl.zst" }), 1);
  assertEquals(await check(zlib.gzipSync(GOOD_LINE)), 1); // named .jsonl
  const utf16 = Buffer.from(`\ufeff${GOOD_LINE}`, "utf16le");
  assertEquals(await check(new Uint8Array(utf16)), 1);
  const pretrain = { purpose: "pretrain" } as const;
  const arrow = await Deno.readFile(new URL("data/tables/file.arrow", FIXTURES));
  assertStringIncludes(
    await refused(arrow, { filename: "a.arrow", ...pretrain }),
    '1 of 3 records are invalid; nothing was stored:\na.arrow, row 3: has no field "text" (it is null)',
  );
  assertEquals(await check("text\nsome\nmore\n", { filename: "a.csv", ...pretrain }), 2);
  assertEquals(await check("# A text", { filename: "a.md", ...pretrain }), 0);
  assertEquals(await check(zlib.gzipSync("A text"), { filename: "a.txt.gz", ...pretrain }), 0);

  assertEquals(
    await refused("instruction,output\na\n", { filename: "a.csv" }),
    "a.csv, row 1: has 1 values for 2 columns; the first row names the columns: instruction, output",
  );
  assertStringIncludes(
    await refused(zlib.gzipSync(GOOD_LINE).subarray(0, 40), { filename: "a.jsonl.gz" }),
    "a.jsonl.gz: the gzip data is cut short or damaged",
  );
  assertStringIncludes(
    await refused(zlib.gzipSync(`${GOOD_LINE}\nno`), { filename: "a.jsonl.gz" }),
    "1 of 2 records are invalid; nothing was stored:\na.jsonl.gz:2: is not valid JSON",
  );
  assertStringIncludes(
    await refused(zlib.gzipSync(" "), { filename: "a.txt.gz", ...pretrain }),
    "only white space",
  );
  assertStringIncludes(await refused("<!DOCTYPE html><p>Log in"), "data.jsonl: ");
});

Deno.test("others are answered while a file is checked", async () => {
  // Bad lines cost most for their length.
  const checked = refused(GOOD_LINE + "\n{".repeat(200_000));
  let turns = 0;
  const timer = setInterval(() => turns++, 1);
  await checked;
  clearInterval(timer);
  // Independent of the machine's speed: between slices timers can run.
  assert(turns > 20, `${turns} turns`);
});
