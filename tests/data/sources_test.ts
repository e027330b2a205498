import { assertEquals } from "@std/assert";
import { join } from "@std/path";
import { Corpus, type CorpusOptions, type CorpusPiece } from "../../src/data/sources.ts";
import { PIECE_BYTES } from "../../src/data/text_reader.ts";
import { UserError } from "../../src/options/user_error.ts";
import { c4Texts, DATA, jsonl, SHAKESPEARE, withFiles } from "./support.ts";
import { assertRefusesAsync } from "../support_errors.ts";

const ALL: CorpusOptions = { textField: "text", share: "all", heldOutShare: 0.05 };

async function piecesOf(
  specs: string[],
  options: Partial<CorpusOptions> = {},
): Promise<CorpusPiece[]> {
  const corpus = await Corpus.open(specs, { ...ALL, ...options });
  return await Array.fromAsync(corpus.pieces(corpus.files.map((_, index) => index)));
}

const textsOf = (pieces: CorpusPiece[]) => pieces.map((piece) => piece.text);

const FORMATS: [file: string, textField: string][] = [
  ["c4.jsonl", "text"],
  ["c4.jsonl.gz", "text"],
  ["c4-snappy.parquet", "content"],
  ["c4-zstd.parquet", "content"],
  ["c4-gzip.parquet", "content"],
];

for (const [file, textField] of FORMATS) {
  Deno.test(`${file}: gives the documents, and from any place those that follow`, async () => {
    const expected = await c4Texts();
    const corpus = await Corpus.open([DATA + file], { ...ALL, textField });
    const pieces = await Array.fromAsync(corpus.pieces([0]));
    assertEquals(textsOf(pieces), expected);
    for (const at of [0, 1, 8, 9, 10, 23]) {
      const rest = await Array.fromAsync(corpus.pieces([0], pieces[at].place));
      assertEquals(rest, pieces.slice(at));
    }
  });
}

Deno.test("a JSON array, also gzipped, gives what JSON Lines give", async () => {
  const texts = ["one", "t]w,o[", 'th"r{ee\\', "é漢🙂\n", "five"];
  const records = texts.map((text, id) => ({ id: [id, { id }], text, last: "\\" }));
  const gzip = async (text: string) => {
    const packed = new Blob([text]).stream().pipeThrough(new CompressionStream("gzip"));
    return new Uint8Array(await new Response(packed).arrayBuffer());
  };
  const files = {
    "a.json": JSON.stringify(records, null, 2),
    "b.json": "\ufeff \n" + JSON.stringify(records) + "\n",
    "c.json.gz": await gzip(JSON.stringify(records, null, 1)),
    "d.json": "[ ]",
    "dataset_info.json": "{}",
  };
  await withFiles(files, async (folder) => {
    for (const name of ["a.json", "b.json", "c.json.gz"]) {
      const corpus = await Corpus.open([join(folder, name)], ALL);
      const pieces = await Array.fromAsync(corpus.pieces([0]));
      assertEquals(textsOf(pieces), texts);
      if (name === "a.json") assertEquals(pieces[1].where, join(folder, name) + ":12");
      for (const at of [0, 1, 4]) {
        const rest = await Array.fromAsync(corpus.pieces([0], pieces[at].place));
        assertEquals(rest, pieces.slice(at));
      }
    }
    assertEquals(textsOf(await piecesOf([folder])), [...texts, ...texts, ...texts]);
  });
});

Deno.test("text: pieces of a book join to the book, cut at ends of lines", async () => {
  const text = await Deno.readTextFile(SHAKESPEARE);
  const corpus = await Corpus.open([SHAKESPEARE], ALL);
  const pieces = await Array.fromAsync(corpus.pieces([0]));
  assertEquals(textsOf(pieces).join(""), text);
  assertEquals(pieces.length, Math.ceil(text.length / PIECE_BYTES));
  assertEquals(pieces.map(({ first }) => first), pieces.map((_, index) => index === 0));
  assertEquals(pieces.map(({ last }) => last), pieces.map((_, i) => i === pieces.length - 1));
  for (const piece of pieces.slice(1)) {
    assertEquals(/\S\n$/.test(text.slice(0, piece.place.offset)), true);
    assertEquals(/^\S/.test(piece.text), true);
  }
  const rest = await Array.fromAsync(corpus.pieces([0], pieces[5].place));
  assertEquals(rest, pieces.slice(5));
});

Deno.test("text: without newlines it is cut at spaces, and without those between characters", async () => {
  const words = "abcdé ".repeat(30_000), solid = "漢é🙂".repeat(20_000);
  await withFiles({ "a.txt": words, "b.txt": solid, "c.md": "\ufeffx" }, async (folder) => {
    const pieces = await piecesOf([folder]);
    const of = (file: number) => textsOf(pieces.filter(({ place }) => place.file === file));
    assertEquals(of(0).join(""), words);
    assertEquals(of(0).slice(1).every((text) => text.startsWith(" abcdé")), true);
    assertEquals(of(1).join(""), solid);
    assertEquals(of(2), ["x"]); // without its byte order mark
  });
});

Deno.test("folders: sorted to the bottom, without what is hidden or of another kind", async () => {
  const files = {
    "b/2.txt": "two",
    "a.jsonl": jsonl(["one", ""]) + "\n\n" + jsonl(["half"]).trimEnd(), // no newline at its end
    "b/1.md": "three",
    "b/c/.hidden.txt": "no",
    "README.md": "no",
    "image.png": "no",
    "z.json": jsonl(["four"]),
  };
  await withFiles(files, async (folder) => {
    const pieces = await piecesOf([folder]);
    assertEquals(textsOf(pieces), ["one", "half", "three", "two", "four"]);
    assertEquals(pieces[1].where, join(folder, "a.jsonl") + ":5");
    const twice = await piecesOf([join(folder, "z.json"), join(folder, "b")]);
    assertEquals(textsOf(twice), ["four", "three", "two"]);
  });
});

Deno.test("held out: training and evaluation share no document and miss none", async () => {
  const texts = Array.from({ length: 1000 }, (_, index) => `document ${index % 900}`);
  await withFiles({ "a.jsonl": jsonl(texts) }, async (folder) => {
    const train = textsOf(await piecesOf([folder], { share: "train" }));
    const held = textsOf(await piecesOf([folder], { share: "eval" }));
    assertEquals([...train, ...held].sort(), [...texts].sort());
    // Equal documents stay together.
    assertEquals(held.some((text) => train.includes(text)), false);
    // 1000 draws of 5%: 50 expected, 6.9 the standard deviation.
    assertEquals(Math.abs(held.length - 50) < 28, true, `${held.length} held out`);
  });
});

Deno.test("held out: of a text, its last share from an end of line on", async () => {
  const whole = await Deno.readTextFile(SHAKESPEARE);
  const train = textsOf(await piecesOf([SHAKESPEARE], { share: "train" })).join("");
  const held = textsOf(await piecesOf([SHAKESPEARE], { share: "eval" })).join("");
  assertEquals(train + held, whole);
  assertEquals(train.endsWith("\n"), true);
  assertEquals(Math.abs(held.length / whole.length - 0.05) < 0.001, true);
  for (const text of ["a few words only", "漢字漢字漢字漢字", "x"]) {
    await withFiles({ "a.txt": text }, async (folder) => {
      const parts = await Promise.all(
        ["train" as const, "eval" as const].map(async (share) =>
          textsOf(await piecesOf([folder], { share, heldOutShare: 0.3 })).join("")
        ),
      );
      assertEquals(parts.join(""), text);
    });
  }
});

Deno.test("held out: of many texts, whole ones", async () => {
  const files = Object.fromEntries(
    Array.from({ length: 200 }, (_, index) => [`${index}.txt`, `document ${index}`]),
  );
  await withFiles(files, async (folder) => {
    const train = textsOf(await piecesOf([folder], { share: "train", heldOutShare: 0.1 }));
    const held = textsOf(await piecesOf([folder], { share: "eval", heldOutShare: 0.1 }));
    assertEquals([...train, ...held].sort(), Object.values(files).sort());
    assertEquals(held.length > 5 && held.length < 40, true, `${held.length} held out`);
  });
});

const latin1 = (text: string) => Uint8Array.from(text, (each) => each.charCodeAt(0));

const LFS_POINTER = "version https://git-lfs.github.com/spec/v1\n" +
  "oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n";

/** Name of the file, its content, the message. */
const BROKEN: [string, string | Uint8Array, string][] = [
  ["a.jsonl", '{"text": "x"}\n{"text": "y', "a.jsonl:2: is not valid JSON"],
  ["a.jsonl", '{"text": "x", "n": NaN}', "hint: NaN and Infinity are no JSON: null stands for"],
  ["a.jsonl", '{"text": "x"}\n{"text": "y', "this is the last line and it does not end"],
  ["a.jsonl", '{"text": "x"}\n\n{"body": "y"}\n', 'a.jsonl:3: has no field "text"'],
  ["a.jsonl", '{"body": "y", "id": 1}\n', "hint: it has body, id; see textField"],
  ["a.jsonl", '{"text": null}\n', 'a.jsonl:1: has no field "text" (it is null)'],
  ["a.jsonl", '{"text": 5}\n', 'a.jsonl:1: field "text" must be a string, got number'],
  ["a.jsonl", '"x"\n', 'a.jsonl:1: must be a JSON object, got "x"'],
  ["a.json", '[\n{"text": "x"},\n{"text": "y"', "a.json:3: the JSON array does not end"],
  ["a.json", '[\n{"text": "x"},\n\n{"text": y}]', "a.json:4: is not valid JSON"],
  ["a.json", '[\n{"text": "x"},\n]', "a.json:3: is not valid JSON"],
  [
    "a.jsonl",
    '[{"text":"x"}]\n[{"text":"y"}]',
    "a.jsonl:2: the JSON array has ended, but more follows",
  ],
  ["a.json", '[["x"]]', 'a.json:1: must be a JSON object, got ["x"]'],
  ["a.json", '{\n"text": "x"\n}\n{"text":', "a.json:4: the file stops inside the JSON object"],
  ["a.json", '{"text": "x\ny"}', "a.json:1: is not valid JSON: a string does not end"],
  ["a.json", '{\n"text": x\n}\n{}', "a.json:1: is not valid JSON"],
  ["a.jsonl", new Uint8Array([0x7b, 0xff, 0x7d]), "a.jsonl:1: is not UTF-8 text"],
  ["a.txt", latin1("a\nbé b"), "a.txt:2: is not UTF-8 text: byte 0xe9 at offset 3"],
  [
    "a.txt",
    latin1("a".repeat(70_000) + "\n\né"),
    "a.txt:3: is not UTF-8 text: byte 0xe9 at offset",
  ],
  ["a.jsonl", latin1('{"text": "x"}\n{"text": "é"}'), "a.jsonl:2: is not UTF-8 text: byte 0xe9 at"],
  ["a.csv", latin1("text\né\n"), "a.csv:2: is not UTF-8 text: byte 0xe9 at offset 5"],
  ["a.txt", new Uint8Array([0xff, 0xfe, 0x00]), "a.txt: cannot be read: is not valid UTF-16"],
  ["a.csv", "text,id\nx,1\ny\n", "a.csv, row 2: has 1 values for 2 columns\n  hint: the first row"],
  ["a.csv", "text,text\nx,1\n", 'which names the columns, has "text" twice'],
  ["a.csv", 'text\n"x', "a.csv: cannot be read: Syntax error on line 2"],
  ["a.tsv", 'text\nsay "x"\n', 'in quotes: "say ""hi"""'],
  [
    "a.txt",
    LFS_POINTER,
    "a.txt: is a Git LFS pointer, not the file itself\n  hint: run git lfs pull",
  ],
  ["a.jsonl", "<!DOCTYPE html>\n<html>", "a.jsonl: is a web page (HTML), not the file itself"],
  ["a.parquet", "GGUF", "a.parquet: is a GGUF file"],
  ["a.parquet.gz", "PAR1", "a.parquet.gz: a compressed Parquet file cannot be read"],
  ["a.parquet", "PAR1", "a.parquet: cannot be read"],
  ["a.jsonl.gz", "no gzip", "a.jsonl.gz: the gzip data is cut short or damaged: incorrect"],
];

for (const [name, content, message] of BROKEN) {
  Deno.test(`sources: ${name}: ${message}`, async () => {
    await withFiles({ [name]: content }, async (folder) => {
      await assertRefusesAsync(() => piecesOf([folder]), UserError, message);
    });
  });
}

Deno.test("sources: a gzip file or a parquet file that is cut off is named", async () => {
  const gz = await Deno.readFile(DATA + "c4.jsonl.gz");
  const parquet = await Deno.readFile(DATA + "c4-snappy.parquet");
  const files = { "a.jsonl.gz": gz.slice(0, 20_000), "b.parquet": parquet.slice(0, 20_000) };
  await withFiles(files, async (folder) => {
    const refused = (file: string, message: string) =>
      assertRefusesAsync(() => piecesOf([join(folder, file)]), UserError, message);
    await refused("a.jsonl.gz", "a.jsonl.gz: the gzip data is cut short or damaged: unexpected");
    await refused("b.parquet", "b.parquet: cannot be read");
  });
  await assertRefusesAsync(
    () => piecesOf([DATA + "c4-snappy.parquet"]),
    UserError,
    'c4-snappy.parquet: has no field "text"\n  hint: it has url, content; see textField',
  );
});

Deno.test("sources: what cannot be data is refused, with what could be", async () => {
  await withFiles({ "a.png": new Uint8Array([0x89, 0x50, 0, 1]) }, async (folder) => {
    const refused = (spec: string, message: string) =>
      assertRefusesAsync(() => piecesOf([spec]), UserError, message);
    await refused(join(folder, "a.png"), "a.png: is neither text nor a known data format");
    await refused(join(folder, "a.png"), "supported: .txt, .md, .jsonl");
    await refused(folder, "has no data file (");
    await refused(folder, "left out a.png (no data file by its name)");
    await refused(join(folder, "*.jsonl"), "*.jsonl: no data file matches");
    await refused("/dev/null", "/dev/null: is a device or a socket, not a file");
    await refused(join(folder, "none.txt"), "none.txt: no such file or folder");
    await refused("hf:models/org/name", "names a model where a dataset is needed");
  });
  await assertRefusesAsync(() => piecesOf([]), UserError, "no file given");
  await assertRefusesAsync(
    () => piecesOf([SHAKESPEARE], { heldOutShare: 1 }),
    UserError,
    "held-out share must be at least 0 and below 1, got 1",
  );
});
