/** A hub of one model, and a cache that is empty. */
import { join } from "@std/path";
import type { DownloadEvent, HubOptions } from "../../src/hub/hub.ts";
import { type HubRepo, HubServer } from "./hub_server.ts";

export const WEIGHTS = Uint8Array.from({ length: 300_000 }, (_, index) => (index * 31) >> 3);
export const NAME = "org/tiny";

export const MODEL: HubRepo = {
  name: NAME,
  revisions: ["v1", "refs/pr/3"],
  files: {
    "README.md": "# tiny",
    "config.json": '{"model_type": "llama"}',
    "generation_config.json": "{}",
    "model.safetensors": WEIGHTS,
    "consolidated.safetensors": "not asked for",
    "pytorch_model.bin": "not asked for",
    "onnx/model.onnx": "not asked for",
    "tokenizer.json": "{}",
    "chat_template.jinja": "{{ messages }}",
    "additional_chat_templates/tool_use.jinja": "{{ tools }}",
    "sub/config.json": "{}",
    "sub/model.safetensors": "small weights",
    "tiny.Q4_1.gguf": "a gguf",
  },
};

/** An address where nothing listens. */
export const NOBODY = (() => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return `http://127.0.0.1:${listener.addr.port}`;
})();

export const NEEDED = [
  "additional_chat_templates/tool_use.jinja",
  "chat_template.jinja",
  "config.json",
  "generation_config.json",
  "model.safetensors",
  "tokenizer.json",
];

export interface Setting {
  readonly server: HubServer;
  readonly cache: string;
  readonly options: HubOptions;
  readonly events: DownloadEvent[];
}

/** Runs with a server and an empty cache. */
export async function withHub(
  repos: readonly HubRepo[],
  run: (setting: Setting) => Promise<void>,
): Promise<void> {
  const cache = await Deno.makeTempDir();
  const events: DownloadEvent[] = [];
  try {
    await using server = new HubServer(repos);
    const options: HubOptions = {
      environment: { endpoint: server.endpoint, cacheFolder: cache, offline: false, xet: true },
      onProgress: (event) => events.push(event),
      retryDelayMs: 1,
    };
    await run({ server, cache, options, events });
  } finally {
    await Deno.remove(cache, { recursive: true });
  }
}

export async function filesBelow(folder: string, below = ""): Promise<string[]> {
  const files: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(join(folder, below))) {
    const path = below ? `${below}/${name}` : name;
    files.push(...isDirectory ? await filesBelow(folder, path) : [path]);
  }
  return files.sort();
}

export const without = (
  options: HubOptions,
  changes: Partial<HubOptions["environment"]>,
): HubOptions => ({
  ...options,
  environment: { ...options.environment!, ...changes },
});
