import { assertEquals, assertStringIncludes } from "@std/assert";

const SCRIPT = `
  import { interruption, takeInterrupts } from "${new URL(
  "../../src/cli/interruption.ts",
  import.meta.url,
)}";
  const { signal } = interruption();
  if (Deno.args[0] === "take") {
    await new Promise((resolve) => {
      const giveBack = takeInterrupts(() => resolve(giveBack()));
      console.log("taken");
    });
  }
  const alive = setInterval(() => {}, 1000);
  console.log("ready");
  await new Promise((resolve) => signal.addEventListener("abort", resolve));
  if (Deno.args[0] === "slow") {
    console.log("saving");
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  console.log("saved");
  if (Deno.args[0] === "hang") await new Promise(() => {});
  clearInterval(alive);
  Deno.exit(signal.aborted ? 130 : 0);
`;

/**
 * Starts the script, sends a signal when each of these words is printed, and waits for it to end.
 */
async function interrupted(mode: string, signals: Record<string, Deno.Signal>) {
  const file = await Deno.makeTempFile({ suffix: ".ts" });
  await Deno.writeTextFile(file, SCRIPT);
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", file, mode],
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  let out = "";
  const stderr = new Response(child.stderr).text();
  for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
    out += text;
    for (const [word, signal] of Object.entries(signals)) {
      if (!text.includes(word)) continue;
      if (word === "saved") await new Promise((resolve) => setTimeout(resolve, 500)); // not part of the first
      child.kill(signal);
    }
  }
  const { code } = await child.status;
  await Deno.remove(file);
  return { code, out, err: await stderr };
}

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  Deno.test(`${signal} lets a command save, then exits with 130`, async () => {
    const { code, out, err } = await interrupted("save", { ready: signal });
    assertEquals([code, out], [130, "ready\nsaved\n"]);
    assertStringIncludes(err, "interrupted: stopping");
  });
}

Deno.test("a second SIGINT does not wait", async () => {
  const { code } = await interrupted("hang", { ready: "SIGINT", saved: "SIGINT" });
  assertEquals(code, 130);
});

Deno.test("one Ctrl-C that arrives twice is one, and a closed terminal is no reason to hurry", async () => {
  for (const again of ["SIGINT", "SIGHUP"] as const) {
    const { code, out } = await interrupted("slow", { ready: "SIGINT", saving: again });
    assertEquals([code, out], [130, "ready\nsaving\nsaved\n"]);
  }
});

Deno.test("a command may take SIGINT for something else, and give it back", async () => {
  const { code, out } = await interrupted("take", { taken: "SIGINT", ready: "SIGINT" });
  assertEquals([code, out], [130, "taken\nready\nsaved\n"]);
});
