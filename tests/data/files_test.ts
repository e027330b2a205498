import { assertEquals } from "@std/assert";
import { basename, dirname, fromFileUrl, join } from "@std/path";
import { listFiles } from "../../src/data/files.ts";
import { splitPattern } from "../../src/data/folder_walk.ts";
import { PROJECT_FILE } from "../support_project.ts";
import { jsonl, withFiles } from "./support.ts";

const namesOf = async (...specs: string[]) =>
  (await listFiles(specs)).files.map(({ name }) => name);

Deno.test("a folder: data by its names; the rest is noted, and pipes are never opened", async () => {
  const files = {
    "a.jsonl": jsonl(["one"]),
    "sub/b.csv": "text\ntwo\n",
    ".git/objects/c.txt": "no",
    ".DS_Store": "no",
    "README.md": "no",
    "LICENSE": "no",
    "LICENSE.txt": "no",
    "saved/dataset_info.json": "{}",
    "saved/state.json": "{}",
    "saved/data-00000-of-00001.jsonl": jsonl(["three"]),
    "state.json": jsonl(["Ohio"]),
    "image.png": "no",
    "model.safetensors": "no",
  };
  await withFiles(files, async (folder) => {
    await Deno.symlink(join(folder, "nowhere"), join(folder, "dangling.jsonl"));
    await Deno.symlink(join(folder, "self.jsonl"), join(folder, "self.jsonl"));
    await Deno.symlink(folder, join(folder, "sub", "circle"));
    await Deno.symlink(join(folder, "a.jsonl"), join(folder, "z.jsonl"));
    await new Deno.Command("mkfifo", { args: [join(folder, "pipe.jsonl")] }).output();
    const { files, notes } = await listFiles([folder]);
    assertEquals(files.map(({ name }) => name), [
      "a.jsonl",
      "saved/data-00000-of-00001.jsonl",
      "state.json",
      "sub/b.csv",
      "z.jsonl",
    ]);
    assertEquals(notes, [
      `data ${folder}: left out LICENSE, LICENSE.txt, README.md, saved/dataset_info.json, ` +
      "saved/state.json (a description), " +
      "dangling.jsonl, self.jsonl (a link that leads nowhere), " +
      "image.png, model.safetensors (no data file by its name), " +
      "pipe.jsonl (no regular file), sub/circle (a link to a folder around it)",
    ]);
    assertEquals((await listFiles([join(folder, "a.jsonl")])).notes, []);
  });
});

Deno.test("splits: train of a saved DatasetDict; where names tell of others, a note", async () => {
  const files = {
    "dict/dataset_dict.json": '{"splits": ["train", "test"]}',
    "dict/train/data.jsonl": jsonl(["one"]),
    "dict/test/data.jsonl": jsonl(["two"]),
    "names/train-0.jsonl": jsonl(["one"]),
    "names/validation.jsonl": jsonl(["two"]),
    "names/contest.jsonl": jsonl(["three"]),
    "no/test.jsonl": jsonl(["one"]),
  };
  await withFiles(files, async (folder) => {
    const listed = async (name: string) => {
      const { files, notes } = await listFiles([join(folder, name)]);
      return [files.map(({ name }) => name), notes.map((note) => note.replace(folder, ""))];
    };
    assertEquals(await listed("dict"), [["train/data.jsonl"], [
      "data /dict: left out dataset_dict.json (a description), test (another split than train)",
    ]]);
    assertEquals(await listed("names"), [
      ["contest.jsonl", "train-0.jsonl", "validation.jsonl"],
      ["data /names: validation.jsonl, of other splits by name, belong to the data too"],
    ]);
    assertEquals(await listed("no"), [["test.jsonl"], []]);
  });
});

Deno.test("patterns, as a shell expands them, and a name that looks like one", async () => {
  const names = ["a.jsonl", "b.jsonl", "x/c.jsonl", "x/y/d.jsonl", "x/e.txt", "n.log", "[1].txt"];
  const files = Object.fromEntries(
    names.map((name) => [name, name.endsWith("jsonl") ? jsonl([name]) : name]),
  );
  await withFiles(files, async (folder) => {
    const matching = (pattern: string) => namesOf(join(folder, pattern));
    assertEquals(await matching("*.jsonl"), ["a.jsonl", "b.jsonl"]);
    assertEquals(await matching("[ab].jsonl"), ["a.jsonl", "b.jsonl"]);
    assertEquals(await matching("{b,x/c}.jsonl"), ["b.jsonl", "x/c.jsonl"]);
    assertEquals(await matching("**/*.jsonl"), ["a.jsonl", "b.jsonl", "x/c.jsonl", "x/y/d.jsonl"]);
    assertEquals(await matching("*/?.jsonl"), ["x/c.jsonl"]);
    assertEquals(await matching("x*"), ["x/c.jsonl", "x/e.txt", "x/y/d.jsonl"]);
    assertEquals(await matching("*.log"), ["n.log"]); // by content
    assertEquals(await matching("[1].txt"), ["[1].txt"]);
  });
});

Deno.test("a folder may look like a pattern, in a path and before a pattern", async () => {
  const folders = ["notes [2024]", "{a,b}", "what?", "50% #1 é", "*"];
  const files = Object.fromEntries(folders.map((name) => [`${name}/x.txt`, name]));
  await withFiles({ ...files, "a/y.txt": "a", "notes 2/z.txt": "2" }, async (folder) => {
    for (const name of folders) {
      assertEquals(await namesOf(join(folder, name)), ["x.txt"]);
      assertEquals(await namesOf(join(folder, name, "x.txt")), ["x.txt"]);
      assertEquals(await namesOf(join(folder, name, "*.txt")), ["x.txt"]);
    }
    assertEquals(await namesOf(join(folder, "notes [1-4]", "*.txt")), ["notes 2/z.txt"]);
  });
});

Deno.test("a pattern is split by this system's separators: of Windows, there are two", async () => {
  const windows = async (pattern: string, ...folders: string[]) => {
    const isFolder = (path: string) => Promise.resolve(folders.includes(path));
    const { folder, rest } = await splitPattern(pattern, isFolder, /[\\/]+/);
    return [folder, rest];
  };
  assertEquals(await windows("C:\\texts\\*.txt"), ["C:\\texts\\", "*.txt"]);
  assertEquals(await windows("C:/my texts\\**/*.txt"), ["C:/my texts\\", "**/*.txt"]);
  assertEquals(await windows("\\\\server\\share\\?.txt"), ["\\\\server\\share\\", "?.txt"]);
  assertEquals(await windows("D:\\[x]\\*.txt", "D:\\[x]"), ["D:\\[x]\\", "*.txt"]);
  assertEquals(await windows("*.txt"), [".", "*.txt"]);
});

Deno.test("~ is the user's folder", async () => {
  await withFiles({ "a.jsonl": jsonl(["one"]) }, async (folder) => {
    const home = Deno.env.get("HOME");
    try {
      Deno.env.set("HOME", dirname(folder));
      assertEquals(await namesOf(`~/${basename(folder)}/a.jsonl`), ["a.jsonl"]);
      assertEquals(await namesOf(`~/${basename(folder)}/*.jsonl`), ["a.jsonl"]);
    } finally {
      if (home === undefined) Deno.env.delete("HOME");
      else Deno.env.set("HOME", home);
    }
  });
});

const READER = `
  import { Corpus } from "${new URL("../../src/data/sources.ts", import.meta.url)}";
  const options = { textField: "text", share: "all", heldOutShare: 0 };
  for (const _ of [1, 2]) {
    const corpus = await Corpus.open(Deno.args, options);
    const pieces = await Array.fromAsync(corpus.pieces([0]));
    console.log(JSON.stringify([corpus.files[0].path, pieces.map(({ text }) => text)]));
  }
`;

const PIPED: [what: string, shell: string, expected: [string, string[]]][] = [
  ["records", 'printf \'{"text":"x"}\\n{"text":"y"}\\n\' | $READ -', ["standard input", [
    "x",
    "y",
  ]]],
  ["a text", "printf 'some words' | $READ -", ["standard input", ["some words"]]],
  ["gzip", "printf 'some words' | gzip | $READ -", ["standard input", ["some words"]]],
  ["a named pipe", "mkfifo p.txt; (printf words > p.txt &); $READ p.txt", ["p.txt", ["words"]]],
];

for (const [what, shell, expected] of PIPED) {
  Deno.test(`standard input or a pipe with ${what}: read twice, no copy left`, async () => {
    await withFiles({ "read.ts": READER }, async (folder) => {
      const { stdout, stderr } = await new Deno.Command("sh", {
        args: [
          "-c",
          shell.replace("$READ", '"$DENO" run -A --no-check --config "$CONFIG" read.ts'),
        ],
        cwd: folder,
        env: { TMPDIR: folder, DENO: Deno.execPath(), CONFIG: fromFileUrl(PROJECT_FILE) },
      }).output();
      const lines = new TextDecoder().decode(stdout).trim().split("\n");
      assertEquals(
        lines,
        Array(2).fill(JSON.stringify(expected)),
        new TextDecoder().decode(stderr),
      );
      const left = [...Deno.readDirSync(folder)].map(({ name }) => name);
      assertEquals(left.filter((name) => !["read.ts", "p.txt"].includes(name)), []);
    });
  });
}

Deno.test("a note says of a text file that begins as JSON how it is read", async () => {
  const files = {
    "a.txt": jsonl(["one"]),
    "b.md": '[\n  {"text": "two"}\n]',
    "c.txt": "{ braces } and [brackets] of a text",
    "d.jsonl": jsonl(["three"]),
  };
  await withFiles(files, async (folder) => {
    const note = (name: string, more: string, ending: string) =>
      `data ${
        join(folder, name)
      }${more}: begins as JSON but is read as text, with its punctuation ` +
      `and field names; give ${ending} to train on its texts alone`;
    const notesOf = async (...names: string[]) =>
      (await listFiles(names.map((name) => join(folder, name)))).notes;
    assertEquals(await notesOf("a.txt", "b.md", "c.txt"), [
      note("a.txt", " (and 1 more)", "their names the ending .jsonl, or .json of a list,"),
    ]);
    assertEquals(await notesOf("b.md"), [note("b.md", "", "its name the ending .json")]);
    assertEquals(await notesOf("c.txt", "d.jsonl"), []);
  });
});
