/** The server's examples, unmodified, against a real server with a tiny model. */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { writeChatModel } from "../inference/support.ts";
import { type TestServer, withServer } from "../server/support.ts";
import { CuttingProxy, documented, makeKey, PLANETS, run } from "./support.ts";

/** The reported steps, in order. */
const stepsOf = (out: string) =>
  [...out.matchAll(/^Step (\d+)\/\d+: training loss/gm)].map(([, step]) => Number(step));

const upTo = (count: number) => Array.from({ length: count }, (_, i) => i + 1);

async function openaiClient({ url }: TestServer): Promise<void> {
  using proxy = new CuttingProxy(Number(new URL(url).port));
  let cut = false;
  const command = await documented("examples/server/openai_client.ts", [
    `http://127.0.0.1:${proxy.port}/v1`,
    "tiny",
    PLANETS,
  ]);
  const { code, out, err } = await run(command, {
    onOutput(out) {
      if (cut || stepsOf(out).length < 3) return;
      cut = true;
      proxy.cut();
    },
  });
  assertEquals(code, 0, out + err);
  assertStringIncludes(out, "(the connection broke: it is taken up again)");
  const steps = stepsOf(out);
  assert(steps.length > 10, out);
  assertEquals(steps, upTo(steps.length), "each step once, in order");
  assertMatch(out, /^step 10: ft:tiny:example:\w{8}:ckpt-step-10 {/m);
  assert(out.split("Which planet is closest to the Sun?\n").at(-1)!.length > 1, "an answer");
}

async function curl({ url }: TestServer, key?: string): Promise<void> {
  const { code, out, err } = await run(
    ["examples/server/curl.sh", `${url}/v1`, "tiny", PLANETS],
    { env: key === undefined ? {} : { OPENAI_API_KEY: key } },
  );
  assertEquals([code, err], [0, ""], out + err);
  const steps = stepsOf(out);
  assertEquals(steps, upTo(steps.length));
  assertMatch(out, /^The job has successfully completed\nft:tiny::\w{8}: ./m);
}

Deno.test({
  name: "examples: the openai client and curl train and talk, with a key and without",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    const model = await Deno.makeTempDir();
    try {
      await writeChatModel(model);
      await withServer({ models: { tiny: model } }, async (server) => {
        await openaiClient(server);
        await curl(server);
        const key = await makeKey(server.folder);
        const command = ["examples/server/curl.sh", `${server.url}/v1`, "tiny", PLANETS];
        const refused = await run(command);
        assert(refused.code !== 0);
        assertStringIncludes(refused.out, "invalid_api_key");
        await curl(server, key);
      });
    } finally {
      await Deno.remove(model, { recursive: true });
    }
  },
});
