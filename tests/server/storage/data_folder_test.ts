import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { UserError } from "../../../src/options/user_error.ts";
import { newId } from "../../../src/server/store/ids.ts";
import { DataFolder } from "../../../src/server/storage/data_folder.ts";
import { PROJECT_FILE } from "../../support_project.ts";

async function withFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "storage-" });
  try {
    await use(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("paths consist only of ids", async () => {
  await withFolder(async (folder) => {
    const data = await DataFolder.open(folder);
    const id = newId("file"), job = newId("ftjob");
    assertEquals(
      data.filePath({ id, filename: "a/../b.JSONL" }),
      join(folder, "files", `${id}.jsonl`),
    );
    assertEquals(data.filePath({ id, filename: "x.sh" }), join(folder, "files", `${id}.bin`));
    assertEquals(data.filePath({ id, filename: "x.toString" }), join(folder, "files", `${id}.bin`));
    assertEquals(data.jobFolder(job), join(folder, "jobs", job));
    assertEquals(data.jobFolder(newId("ptjob")).startsWith(join(folder, "jobs", "ptjob-")), true);
    for (const bad of ["", "..", "../x", `${id}/..`, `${id}\n`, job, `../${id}`, `${id}.jsonl`]) {
      assertThrows(() => data.filePath({ id: bad, filename: "a.jsonl" }), TypeError, "no id");
    }
    for (const bad of ["", "..", id, `${job}/model`, `${job}\n`]) {
      assertThrows(() => data.jobFolder(bad), TypeError, "no id");
    }
    data.close();
  });
});

Deno.test("a folder is one server's, until it closes or is killed", async () => {
  await withFolder(async (folder) => {
    const first = await DataFolder.open(folder);
    const error = await assertRejects(() => DataFolder.open(folder), UserError);
    assert(error.message.includes(`${folder}: another server is using it`), error.message);
    first.close();
    const module = import.meta.resolve("../../../src/server/storage/data_folder.ts");
    const code = `const { DataFolder } = await import("${module}");
      await DataFolder.open(${JSON.stringify(folder)});
      console.log("open");
      setInterval(() => {}, 1000);`;
    const other = new Deno.Command(Deno.execPath(), {
      args: ["eval", "--config", fromFileUrl(PROJECT_FILE), code],
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    const reader = other.stdout.getReader();
    await reader.read();
    await assertRejects(() => DataFolder.open(folder), UserError, "another server");
    other.kill("SIGKILL");
    await other.status;
    await reader.cancel();
    (await DataFolder.open(folder)).close();
  });
});

Deno.test("a folder that cannot be created is reported", async () => {
  await withFolder(async (folder) => {
    const file = join(folder, "file");
    await Deno.writeTextFile(file, "");
    await assertRejects(
      () => DataFolder.open(join(file, "data")),
      UserError,
      `data folder ${file}`,
    );
  });
});

Deno.test("what is used and what is left agree with the folder and the quota", async () => {
  await withFolder(async (folder) => {
    await Deno.mkdir(join(folder, "jobs", "deep"), { recursive: true });
    await Deno.writeFile(join(folder, "jobs", "deep", "a"), new Uint8Array(1000));
    await Deno.symlink("/", join(folder, "link"));
    const data = await DataFolder.open(folder, { quota: 5000 });
    assertEquals([await data.used(), await data.free()], [1000, 4000]);
    data.account(1500);
    assertEquals([await data.used(), await data.free()], [2500, 2500]);
    data.account(-2000);
    assertEquals([await data.used(), await data.free()], [500, 4500]);
    data.account(9000);
    assertEquals(await data.free(), 0);
    data.close();
    assertEquals((await Deno.stat(join(folder, "server.reserve"))).size, 8 * 2 ** 20);
    const unlimited = await DataFolder.open(folder);
    assert(await unlimited.free() > 0 && Number.isFinite(await unlimited.free()));
    unlimited.close();
  });
});

Deno.test("what is measured anew is measured after it was asked for, also during a measurement", async () => {
  await withFolder(async (folder) => {
    const data = await DataFolder.open(folder),
      text = (name: string) => join(folder, "files", name);
    for (let index = 0; index < 300; index++) await Deno.writeTextFile(text(`${index}`), "1");
    // The first that a walk sees.
    const [{ name: first }] = Deno.readDirSync(join(folder, "files"));
    const before = await data.used();
    for (let round = 1; round <= 20; round++) {
      data.remeasure();
      const running = data.used();
      await new Promise((resolve) => setTimeout(resolve, round % 5));
      Deno.writeTextFileSync(text(first), "1".repeat(1 + round));
      data.remeasure();
      assertEquals(await data.used(), before + round);
      await running;
      assertEquals(await data.used(), before + round);
    }
    data.close();
  });
});
