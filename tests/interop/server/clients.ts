/**
 * Clients that nobody here wrote, unmodified, against a real server with a key: every call works, or
 * is refused with a reason. Prints the table.
 *
 *     PYTHON=<python> deno run -A --no-check --lock=tests/deno.lock tests/interop/server/clients.ts <folder>
 *
 * Installs packages from PyPI and npm into the folder.
 */
import { fromFileUrl, join } from "@std/path";
import { attempt, must, npmPackages, type Outcome, pythonPackages } from "./packages.ts";
import { CHECKOUT, emptyFolder, startServer } from "./support.ts";
import { writeChatModel } from "../../inference/support.ts";

interface Call {
  readonly client: string;
  readonly call: string;
  readonly outcome: "works" | "refused" | "BROKEN";
  readonly reason: string;
}

const work = await emptyFolder(Deno.args[0]), data = join(work, "data");
const python = await pythonPackages(Deno.env.get("PYTHON") ?? "python3", join(work, "venv"), [
  "openai",
  "langchain-openai",
  "litellm",
  "llm",
]);
const npm = await npmPackages(join(work, "npm"), {
  "openai": "^7.57.0",
  "ai": "^7.0.173",
  "@ai-sdk/openai": "^4.0.118",
  "@ai-sdk/openai-compatible": "^3.0.92",
  "zod": "^4.0.0",
});
const here = (name: string) => fromFileUrl(new URL(name, import.meta.url));

const modelsFolder = join(work, "models");
// The positions of OpenAI's jobs without hyperparameters of ours.
await writeChatModel(join(modelsFolder, "tiny"), { config: { maxPositions: 512 } });
const server = await startServer({ folder: data, modelsFolder });
let calls: Call[] = [];
try {
  const made = await must(Deno.execPath(), [
    "run",
    "-A",
    join(CHECKOUT, "cli.ts"),
    ...["key", "--create", "clients", "--data-folder", data, "--json"],
  ]);
  const { secret } = JSON.parse(made.split("\n").find((line) => line.startsWith("{"))!);
  const base = `${server.url}/v1`;
  await Deno.copyFile(here("npm/clients.mts"), join(npm.folder, "clients.mts"));
  const programs = [
    await attempt(python.program("python"), [here("python_clients.py"), base, secret]),
    await attempt(Deno.execPath(), ["run", "-A", "--check", "clients.mts", base, secret], {
      cwd: npm.folder,
    }),
  ];
  calls = [...programs.flatMap(callsOf), ...await llmCalls(base, secret)];
} finally {
  await server.stop("SIGKILL");
}
print(calls);
Deno.exit(calls.some(({ outcome }) => outcome === "BROKEN") ? 1 : 0);

/** The lines that a program printed; one that ended early is broken as a whole. */
function callsOf({ success, text }: Outcome): Call[] {
  const calls = text.split("\n").filter((line) => line.startsWith('{"client"'))
    .map((line): Call => JSON.parse(line));
  if (success || calls.some(({ outcome }) => outcome === "BROKEN")) return calls;
  return [...calls, {
    client: "its program",
    call: "runs",
    outcome: "BROKEN",
    reason: text.slice(-800),
  }];
}

/** Simon Willison's command line, with the server as one of its models. */
async function llmCalls(base: string, key: string): Promise<Call[]> {
  const user = join(work, "llm");
  await Deno.mkdir(user, { recursive: true });
  const model = (id: string, more = "") =>
    `- model_id: ${id}\n  model_name: tiny\n  api_base: ${base}\n  api_key_name: trainer\n${more}`;
  const models = model("trainer") + model("trainer-text", "  completion: true\n");
  await Deno.writeTextFile(join(user, "extra-openai-models.yaml"), models);
  await Deno.writeTextFile(join(user, "keys.json"), JSON.stringify({ trainer: key }));
  const client = `llm ${await python.version("llm")}`;
  const tried: Call[] = [];
  const run = async (call: string, args: readonly string[], reason = "") => {
    const { success, text } = await attempt(python.program("llm"), args, {
      env: { LLM_USER_PATH: user },
    });
    const outcome = reason
      ? !success && text.includes(reason) ? "refused" : "BROKEN"
      : success
      ? "works"
      : "BROKEN";
    tried.push({ client, call, outcome, reason: outcome === "works" ? "" : text.slice(-300) });
  };
  const short = ["-o", "max_tokens", "4"];
  await run("llm -m", ["-m", "trainer", ...short, "Hello"]);
  await run("llm -m, --no-stream", ["-m", "trainer", "--no-stream", ...short, "Hello"]);
  await run("llm -c, a conversation", ["-c", ...short, "And then?"]);
  await run("llm -m, --system", ["-m", "trainer", "--system", "Be brief.", ...short, "Hello"]);
  await run("llm -m, of a completion model", ["-m", "trainer-text", ...short, "Mars"]);
  await run(
    "llm -m, with a wrong key",
    ["-m", "trainer", "--key", "sk-x", "Hello"],
    "Incorrect API key",
  );
  return tried;
}

function print(calls: readonly Call[]) {
  for (const [client, of] of Map.groupBy(calls, ({ client }) => client)) {
    const count = (outcome: Call["outcome"]) =>
      of.filter((call) => call.outcome === outcome).length;
    console.log(
      `${client}: ${count("works")} work, ${count("refused")} refused with a reason, ` +
        `${count("BROKEN")} broken`,
    );
    for (const { call, outcome, reason } of of) {
      console.log(
        `  ${outcome.padEnd(8)}${call}${reason ? `: ${reason.replaceAll(/\s+/g, " ")}` : ""}`,
      );
    }
  }
}
