import { assertEquals, assertStringIncludes } from "@std/assert";
import { driverAdvice, inspectSystem, isDebian } from "../../src/cli/system.ts";

const SETUP = new URL("../../setup.ts", import.meta.url);

async function setup(env: Record<string, string>) {
  const { code, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", SETUP.href],
    env: { NO_COLOR: "1", XDG_RUNTIME_DIR: "/tmp", ...env },
  }).output();
  return { code, log: new TextDecoder().decode(stderr) };
}

Deno.test("setup is content with the adapter there is", async () => {
  const { code, log } = await setup({});
  assertStringIncludes(log, "setup: found an adapter: ");
  assertEquals(code, 0);
});

Deno.test({
  name: "setup without an adapter installs on Debian as root, and says what to do elsewhere",
  // Only there can the drivers be hidden by the environment.
  ignore: Deno.build.os !== "linux",
  fn: async () => {
    const bin = await Deno.makeTempDir();
    // In the place of the real one: records its calls and installs nothing.
    await Deno.writeTextFile(`${bin}/apt-get`, `#!/bin/sh\necho "$@" >> ${bin}/calls\n`, {
      mode: 0o755,
    });
    await Deno.writeTextFile(`${bin}/calls`, "");
    const { code, log } = await setup({
      DENO_WEBGPU_BACKEND: "vulkan",
      VK_ICD_FILENAMES: "/nonexistent",
      VK_DRIVER_FILES: "/nonexistent",
      PATH: `${bin}:${Deno.env.get("PATH")}`,
    });
    const calls = await Deno.readTextFile(`${bin}/calls`);
    await Deno.remove(bin, { recursive: true });
    const system = inspectSystem();
    assertEquals(
      calls,
      system.root && isDebian(system)
        ? "update\ninstall -y --no-install-recommends mesa-vulkan-drivers libvulkan1\n"
        : "",
    );
    for (const line of driverAdvice(system)) assertStringIncludes(log, line);
    assertEquals(code, 1);
  },
});
