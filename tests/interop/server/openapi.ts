/**
 * The server's OpenAPI document through others' programs: two validators, and the clients that two
 * generators make of it. Their types are checked, and they take a job from upload to a chat with its
 * result on a real server.
 *
 *     PYTHON=<python> deno run -A --no-check --lock=tests/deno.lock tests/interop/server/openapi.ts <folder>
 *
 * Installs packages from PyPI and npm into the folder.
 */
import { fromFileUrl, join } from "@std/path";
import { must, npmPackages, pythonPackages } from "./packages.ts";
import { emptyFolder, startServer, tinyModels } from "./support.ts";

const work = await emptyFolder(Deno.args[0]);
const python = await pythonPackages(Deno.env.get("PYTHON") ?? "python3", join(work, "venv"), [
  "openapi-spec-validator",
  "openapi-python-client",
  "mypy",
]);
const npm = await npmPackages(join(work, "npm"), {
  "@redocly/cli": "^2.77.0",
  "openapi-typescript": "^7.13.0",
  "openapi-fetch": "^0.17.0",
});
const here = (name: string) => fromFileUrl(new URL(name, import.meta.url));
const document = join(npm.folder, "openapi.json");

const server = await startServer({
  folder: join(work, "data"),
  modelsFolder: await tinyModels(join(work, "models")),
});
try {
  await Deno.writeTextFile(document, await (await fetch(`${server.url}/openapi.json`)).text());
  await validate();
  await typescript(server.url);
  await pythonClient(server.url);
} finally {
  await server.stop("SIGKILL");
}

async function validate() {
  const validator = await must(python.program("openapi-spec-validator"), [document]);
  console.log(`openapi-spec-validator ${await python.version("openapi-spec-validator")}`);
  console.log(`  ${validator.replace(document, "openapi.json")}`);
  const lint = await npm.deno("run", "-A", "npm:@redocly/cli", "lint", "openapi.json");
  console.log(`redocly lint ${await npm.version("@redocly/cli")}`);
  for (const line of lint.split("\n").filter((line) => /valid\.|warning|error/.test(line))) {
    console.log(`  ${line}`);
  }
}

async function typescript(url: string) {
  await npm.deno("run", "-A", "npm:openapi-typescript", "openapi.json", "-o", "api.d.ts");
  await Deno.copyFile(here("npm/generated_client.mts"), join(npm.folder, "generated_client.mts"));
  const versions = ["openapi-typescript", "openapi-fetch"].map(async (name) =>
    `${name} ${await npm.version(name)}`
  );
  console.log((await Promise.all(versions)).join(", "));
  await npm.deno("check", "generated_client.mts");
  console.log("  types: checked");
  console.log("  " + (await npm.deno("run", "-A", "generated_client.mts", url)).trim());
}

async function pythonClient(url: string) {
  const project = join(work, "python"), config = join(work, "generator.yaml");
  await Deno.writeTextFile(config, "package_name_override: trainer_client\n");
  await must(python.program("openapi-python-client"), [
    "generate",
    "--path",
    document,
    "--output-path",
    project,
    "--config",
    config,
    "--fail-on-warning",
  ], { env: { PATH: `${join(work, "venv", "bin")}:${Deno.env.get("PATH")}` } });
  await Deno.copyFile(here("generated_client.py"), join(project, "generated_client.py"));
  console.log(`openapi-python-client ${await python.version("openapi-python-client")}`);
  const where = { cwd: project };
  // The generator's own code has casts that do nothing.
  const strict = ["--strict", "--no-warn-redundant-casts"];
  const checked = await must(python.program("mypy"), [
    ...strict,
    "trainer_client",
    "generated_client.py",
  ], where);
  console.log(`  mypy ${await python.version("mypy")}: ${checked}`);
  const ran = await must(python.program("python"), ["generated_client.py", url], where);
  console.log("  " + ran.trim());
}
