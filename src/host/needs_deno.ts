/** Imported first by what runs in Deno alone: elsewhere it says so and ends the program. */
const RUN = "npx -y deno@2 run -A";

if (!("Deno" in globalThis)) {
  const line =
    "This program needs Deno, for its WebGPU, its files and its permissions: run it with " +
    `\`${RUN} …\`, which Node's npx fetches. Kernels alone run elsewhere, too: docs/elsewhere.md.`;
  // Node and Bun would print a stack with its source around the one line that helps.
  const { process } = globalThis as { process?: { exit(code: number): never } };
  if (!process) throw new Error(line);
  console.error(line);
  process.exit(1);
}

export {};
