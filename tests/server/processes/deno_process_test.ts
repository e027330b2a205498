/** What a process of the server may read. */
import { assertEquals } from "@std/assert";
import { denoProcess } from "../../../src/server/processes/deno_process.ts";

Deno.test("a process may read the other parts of a split GGUF model, and no neighbours", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const path = (name: string) => `${folder}/${name}`;
    const names = ["x-00001-of-00002.gguf", "x-00002-of-00002.gguf", "y.gguf"];
    const program = path("program.ts");
    await Deno.writeTextFile(
      program,
      "console.log(Deno.args.map((path) => " +
        'Deno.permissions.querySync({ name: "read", path }).state).join());',
    );
    const { stdout } = await denoProcess(program, { read: [path(names[1])] }, {
      args: names.map(path),
    }).output();
    assertEquals(new TextDecoder().decode(stdout).trim(), "granted,granted,prompt");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("a process has no network, starts no other, and writes only where it may", async () => {
  const folder = await Deno.makeTempDir(), program = `${folder}/program.ts`;
  try {
    await Deno.writeTextFile(
      program,
      `const asked = [
        { name: "net" }, { name: "run" }, { name: "ffi" }, { name: "env" }, { name: "sys" },
        { name: "write" }, { name: "write", path: "${folder}" }, { name: "write", path: "/tmp" },
      ];
      console.log(asked.map((each) => Deno.permissions.querySync(each).state).join());`,
    );
    const { stdout } = await denoProcess(program, { read: [folder], write: [folder] }).output();
    const states = new TextDecoder().decode(stdout).trim().split(",");
    // Where only some paths are granted, the whole is not.
    const none = Array(5).fill("prompt");
    assertEquals(states.with(5, "prompt"), [...none, "prompt", "granted", "prompt"]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
