/** Kernels without Deno: with another implementation of WebGPU, and in a browser. */
import { assert, assertEquals } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { chromium } from "playwright-core";
import { findAdapter, Gpu } from "../../kernels.ts";
import { BUFFER_USAGE, MAP_MODE, SHADER_STAGE, TEXTURE_USAGE } from "../../src/gpu/usage.ts";
import { CHROMIUM } from "../server/dashboard/browser.ts";

Deno.test("an adapter of another WebGPU is found, and opened", async () => {
  const own = await findAdapter();
  assert(own);
  const asked: unknown[] = [];
  const other = {
    requestAdapter: (options: unknown) => Promise.resolve(asked.push(options) ? own : null),
  };
  assertEquals(await findAdapter(other as unknown as GPU), own);
  assertEquals(asked, [{ powerPreference: "high-performance" }]);
  const gpu = await Gpu.open(own);
  assertEquals(gpu.adapter.description, own.info.description);
  gpu.close();
});

Deno.test("the bits of usages are WebGPU's", () => {
  const agrees = (own: Readonly<Record<string, number>>, global: object) =>
    assertEquals(
      own,
      Object.fromEntries(
        Object.keys(own).map((name) => [name, (global as Record<string, number>)[name]]),
      ),
    );
  agrees(BUFFER_USAGE, GPUBufferUsage);
  agrees(TEXTURE_USAGE, GPUTextureUsage);
  agrees(MAP_MODE, GPUMapMode);
  agrees(SHADER_STAGE, GPUShaderStage);
});

/** Computes c = a · bᵀ with the library, in a page, and shows it. */
const PAGE = `<script type="module">
import { createMatmulWorkspace, Gpu, KernelPass, matmul, packTensor, strategyFor, unpackTensor }
  from "/kernels.js";
const say = (result) => document.title = JSON.stringify(result);
try {
  const gpu = await Gpu.open();
  const matrix = (name, shape) => gpu.tensor({ name, shape, dtype: "float32", purpose: "workspace" });
  const [m, n, k] = [5, 7, 13];
  const a = matrix("a", [m, k]), b = matrix("b", [n, k]), c = matrix("c", [m, n]);
  gpu.write(a, packTensor(a, Float32Array.from({ length: m * k }, (_, i) => i % 11 - 5)));
  gpu.write(b, packTensor(b, Float32Array.from({ length: n * k }, (_, i) => i % 7 - 3)));
  const workspace = createMatmulWorkspace(gpu, {
    variant: strategyFor(gpu.capabilities).matmul,
    limits: gpu.limits,
    shapes: [{ layout: "NT", m, n, k }],
  });
  const pass = new KernelPass(gpu);
  matmul(pass, workspace, { layout: "NT", a, b, c });
  pass.submit();
  say({ software: gpu.adapter.software, c: [...unpackTensor(c, await gpu.read(c))] });
} catch (error) {
  say({ error: error.stack });
}
</script>`;

Deno.test({
  name: "kernels run in a browser, in one file with their shaders",
  ignore: !CHROMIUM,
  // Playwright keeps a pipe to the browser's process for a moment after it has closed it.
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    const folder = await Deno.makeTempDir();
    const file = join(folder, "kernels.js");
    const root = fromFileUrl(new URL("../..", import.meta.url));
    const { success, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["bundle", "--quiet", "--platform=browser", `--output=${file}`, "kernels.ts"],
      cwd: root,
    }).output();
    assert(success, new TextDecoder().decode(stderr));
    const script = await Deno.readTextFile(file);
    const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) => {
      const [text, type] = request.url.endsWith("kernels.js")
        ? [script, "text/javascript"]
        : [PAGE, "text/html"];
      return new Response(text, { headers: { "content-type": type } });
    });
    const browser = await chromium.launch({
      executablePath: CHROMIUM,
      args: ["--no-sandbox", "--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader"],
    });
    try {
      const page = await browser.newPage();
      await page.goto(`http://127.0.0.1:${server.addr.port}/`);
      await page.waitForFunction("document.title");
      const [m, n, k] = [5, 7, 13];
      const c = Array.from({ length: m * n }, (_, at) => {
        const row = Math.floor(at / n), column = at % n;
        let sum = 0;
        for (let i = 0; i < k; i++) {
          sum += ((row * k + i) % 11 - 5) * ((column * k + i) % 7 - 3);
        }
        return sum;
      });
      // Sums of small integers: exact in any order.
      assertEquals(JSON.parse(await page.title()), { software: true, c });
    } finally {
      await browser.close();
      await server.shutdown();
      await Deno.remove(folder, { recursive: true });
    }
  },
});
