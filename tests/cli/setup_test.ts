import { assertEquals, assertStringIncludes } from "@std/assert";
import { driverAdvice, inspectSystem, isDebian } from "../../src/host/system.ts";

const SETUP = new URL("../../setup.ts", import.meta.url);

async function setup(env: Record<string, string>, ...args: string[]) {
  const { code, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", SETUP.href, ...args],
    env: { NO_COLOR: "1", ...env },
  }).output();
  return { code, log: new TextDecoder().decode(stderr) };
}

/**
 * Runs with a fake `apt-get` that records its calls and then runs a given script; returns the
 * calls.
 */
async function withAptGet(
  script: string,
  use: (path: string, root: string) => Promise<void>,
): Promise<string> {
  const root = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${root}/calls`, "");
    const text = `#!/bin/sh\nROOT="$(dirname "$0")"\necho "$@" >> "$ROOT/calls"\n${script}\n`;
    await Deno.writeTextFile(`${root}/apt-get`, text, { mode: 0o755 });
    await use(`${root}:${Deno.env.get("PATH")}`, root);
    return await Deno.readTextFile(`${root}/calls`);
  } finally {
    await Deno.remove(root, { recursive: true });
  }
}

/** Only on Linux can the environment hide drivers, and setup install packages. */
const ignore = Deno.build.os !== "linux";
const system = inspectSystem();
const installs = system.root && isDebian(system);

Deno.test("setup does nothing if there is an adapter", async () => {
  const { code, log } = await setup({});
  assertStringIncludes(log, "setup: found an adapter: ");
  assertEquals(code, 0);
});

Deno.test({
  name: "setup without an adapter installs on Debian as root, and says what to do elsewhere",
  ignore,
  fn: async () => {
    const calls = await withAptGet('echo "apt-get ran" >&2', async (PATH) => {
      const { code, log } = await setup({
        DENO_WEBGPU_BACKEND: "vulkan",
        VK_ICD_FILENAMES: "/nonexistent",
        VK_DRIVER_FILES: "/nonexistent",
        PATH,
      });
      for (const line of driverAdvice(system)) assertStringIncludes(log, line);
      // The log announces packages before installing them.
      const [before] = log.split("apt-get ran");
      const announced = before.includes(
        "setup: will install mesa-vulkan-drivers, libvulkan1 with apt-get (some 55 MB",
      );
      assertEquals([code, announced], [1, installs]);
    });
    assertEquals(
      calls,
      installs ? "update\ninstall -y --no-install-recommends mesa-vulkan-drivers libvulkan1\n" : "",
    );
  },
});

Deno.test({
  name: "setup for a browser finds one, installs one, or says that its tests are skipped",
  ignore,
  fn: async () => {
    const calls = installs ? "update\ninstall -y --no-install-recommends chromium\n" : "";
    const skipped = "setup: no browser: tests that need one will be skipped";
    // The searched folder is empty, and stays empty.
    const failed = await withAptGet("exit 0", async (PATH, root) => {
      const { code, log } = await setup({ PATH }, "--browser", root);
      assertStringIncludes(log, skipped);
      assertEquals(code, 0);
    });
    assertEquals(failed, calls);
    const broken = await withAptGet("exit 100", async (PATH, root) => {
      const { code, log } = await setup({ PATH }, "--browser", root);
      assertStringIncludes(log, skipped);
      assertEquals(code, 0);
    });
    assertEquals(broken, calls.split(/(?<=\n)/)[0]);
    const script = 'mkdir -p "$ROOT/usr/bin" && touch "$ROOT/usr/bin/chromium"';
    const installed = await withAptGet(script, async (PATH, root) => {
      if (!installs) await Deno.mkdir(`${root}/usr/bin`, { recursive: true });
      if (!installs) await Deno.writeTextFile(`${root}/usr/bin/chromium`, "");
      for (let time = 0; time < 2; time++) {
        const { code, log } = await setup({ PATH }, "--browser", root);
        assertStringIncludes(log, `setup: found a browser: ${root}/usr/bin/chromium\n`);
        assertEquals(code, 0);
      }
    });
    assertEquals(installed, calls, "once");
  },
});

Deno.test({
  name: "setup for several processes finds Open MPI, installs it, or says what is skipped",
  ignore,
  fn: async () => {
    const calls = installs
      ? "update\ninstall -y --no-install-recommends openmpi-bin libopenmpi3\n"
      : "";
    const failed = await withAptGet("exit 0", async (PATH, root) => {
      const { code, log } = await setup({ PATH }, "--mpi", root);
      assertStringIncludes(log, "setup: no Open MPI: tests of several processes will be skipped");
      assertEquals(code, 0);
    });
    assertEquals(failed, calls);
    const script = 'mkdir -p "$ROOT/usr/bin" && touch "$ROOT/usr/bin/mpirun.openmpi"';
    const installed = await withAptGet(script, async (PATH, root) => {
      if (!installs) await Deno.mkdir(`${root}/usr/bin`, { recursive: true });
      if (!installs) await Deno.writeTextFile(`${root}/usr/bin/mpirun.openmpi`, "");
      const { code, log } = await setup({ PATH }, "--mpi", root);
      assertStringIncludes(log, `setup: found Open MPI: ${root}/usr/bin/mpirun.openmpi\n`);
      assertEquals(code, 0);
    });
    assertEquals(installed, calls);
  },
});

Deno.test({
  name: "setup for the server's workers finds PostgreSQL, installs it, or says what is skipped",
  ignore,
  fn: async () => {
    const calls = installs ? "update\ninstall -y --no-install-recommends postgresql\n" : "";
    const failed = await withAptGet("exit 0", async (PATH, root) => {
      const { code, log } = await setup({ PATH }, "--postgres", root);
      assertStringIncludes(
        log,
        "setup: no PostgreSQL: tests of the server's workers will be skipped",
      );
      assertEquals(code, 0);
    });
    assertEquals(failed, calls);
    // Of several versions the newest.
    const installed = await withAptGet("exit 0", async (PATH, root) => {
      for (const version of [9, 15, 14]) {
        const bin = `${root}/usr/lib/postgresql/${version}/bin`;
        await Deno.mkdir(bin, { recursive: true });
        for (const name of ["initdb", "postgres"]) await Deno.writeTextFile(`${bin}/${name}`, "");
      }
      const { code, log } = await setup({ PATH }, "--postgres", root);
      assertStringIncludes(log, `setup: found PostgreSQL: ${root}/usr/lib/postgresql/15/bin\n`);
      assertEquals(code, 0);
    });
    assertEquals(installed, "");
  },
});
