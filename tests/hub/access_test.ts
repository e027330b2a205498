/** Who may download: tokens, refusals, machines that are offline, the environment. */
import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { resolveModel } from "../../src/hub/hub.ts";
import { explain, UserError } from "../../src/options/user_error.ts";
import { assertRefusesAsync } from "../support_errors.ts";
import { commitOf, HubServer, refusal } from "./hub_server.ts";
import { MODEL, NAME, NOBODY, withHub, without } from "./support.ts";

Deno.test("hub: the token is for the hub and not for where it sends one", async () => {
  await withHub([MODEL], async ({ server, options }) => {
    const token = { value: "no-hf-prefix", origin: "HF_TOKEN" };
    await resolveModel(`hf:${NAME}`, without(options, { token }));
    for (const { kind, token } of server.requests) {
      assertEquals(token, kind === "cdn" ? null : "Bearer no-hf-prefix", kind);
    }
  });
});

Deno.test("hub: refusals name the spec, the hub's words and what to do", async () => {
  await withHub([MODEL], async ({ server, options }) => {
    const refused = async (spec: string, ...messages: string[]) => {
      const error = await assertRejects(() => resolveModel(spec, options), UserError);
      for (const message of messages) assertStringIncludes(explain(error), message);
    };
    await refused(
      "hf:org/none@v1",
      "hf:org/none@v1: 127.0.0.1:",
      "has no such model, revision or file (404: Repository not found)",
      `look it up at ${server.endpoint}/org/none`,
    );
    await refused(`hf:${NAME}@v2`, "(404: Invalid rev id: v2)");
    const asked = server.requests.length;
    const gate = "Access to model org/tiny is restricted.";
    server.fault = ({ kind }) => kind === "cdn" ? undefined : refusal(401, "GatedRepo", gate);
    await refused(
      `hf:${NAME}`,
      `denies access (401: ${gate})`,
      `accept its terms at ${server.endpoint}/org/tiny, and set HF_TOKEN to a token with access`,
    );
    assertEquals(server.requests.length, asked + 1); // a refusal is not retried
    server.fault = ({ kind }) => kind === "resolve" ? refusal(403, "GatedRepo", gate) : undefined;
    const token = { value: "hf_x", origin: "/home/me/token" };
    const error = await assertRefusesAsync(
      () => resolveModel(`hf:${NAME}`, without(options, { token })),
      UserError,
      `denies access (403: ${gate})`,
    );
    assertStringIncludes(error.hint!, "the token of /home/me/token has no access");
  });
});

Deno.test("hub: offline, and a host that cannot be reached", async () => {
  await withHub([], async ({ options }) => {
    const gone = without(options, { endpoint: NOBODY });
    const error = await assertRejects(() => resolveModel(`hf:${NAME}`, gone), UserError);
    assertStringIncludes(
      error.message,
      `hf:${NAME}: cannot reach ${new URL(NOBODY).host}: client error`,
    );
    assertStringIncludes(explain(error), "is this machine offline?");
    await assertRefusesAsync(
      () => resolveModel(`hf:${NAME}`, without(options, { offline: true })),
      UserError,
      "is not in the cache",
    );
  });
});

Deno.test("hub: the environment is what Python's library reads", async () => {
  const home = await Deno.makeTempDir();
  try {
    await using server = new HubServer([MODEL]);
    await Deno.writeTextFile(join(home, "token"), "hf_file\n");
    const run = async (env: Record<string, string>) => {
      const module = import.meta.resolve("../../src/hub/hub.ts");
      const code = `import { resolveModel } from "${module}";` +
        `await resolveModel("hf:${NAME}").then(console.log, (e) => console.log(e.message));`;
      const { stdout } = await new Deno.Command(Deno.execPath(), {
        args: ["eval", code],
        cwd: fromFileUrl(import.meta.resolve("../..")),
        env: { HF_HOME: home, HF_ENDPOINT: server.endpoint + "/", HF_TOKEN: "", ...env },
      }).output();
      return new TextDecoder().decode(stdout).trim();
    };
    const folder = join(home, "hub", "models--org--tiny", "snapshots", commitOf(MODEL));
    assertStringIncludes(
      await run({ HF_HUB_OFFLINE: "1" }),
      "and HF_HUB_OFFLINE forbids downloads",
    );
    assertEquals(server.requests, []);
    assertEquals(await run({}), folder);
    assertEquals(server.requests[0].token, "Bearer hf_file");
    assertEquals(await run({ HF_TOKEN: "hf_env" }), folder);
    assertEquals(server.requests.at(-1)!.token, "Bearer hf_env");
    assertEquals(await run({ HF_HUB_OFFLINE: "1" }), folder);
    assertStringIncludes(
      await run({ HF_ENDPOINT: "nonsense" }),
      'HF_ENDPOINT: "nonsense" is not a URL',
    );
  } finally {
    await Deno.remove(home, { recursive: true });
  }
});
