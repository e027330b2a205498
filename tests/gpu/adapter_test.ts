import { assertEquals } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { PROJECT_FILE } from "../support_project.ts";

Deno.test("a program that opens a GPU prints nothing, and its environment stays as it is", async () => {
  const folder = await Deno.makeTempDir({ prefix: "my stuff é " });
  try {
    const program = join(folder, "program.ts");
    await Deno.writeTextFile(
      program,
      `import { Gpu } from "${import.meta.resolve("../../mod.ts")}";
       const environment = () => Object.entries(Deno.env.toObject()).sort().join();
       const before = environment();
       using one = await Gpu.open();
       using other = await Gpu.open();
       console.log(before === environment());`,
    );
    const { XDG_RUNTIME_DIR: _, ...env } = Deno.env.toObject();
    const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--no-check", "--config", fromFileUrl(PROJECT_FILE), program],
      clearEnv: true,
      env,
    }).output();
    const said = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
    assertEquals(said, ["true\n", ""]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
