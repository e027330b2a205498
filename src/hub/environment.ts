/** Environment variables of the Hugging Face hub, as its Python library reads them. */
import { getHFHubCachePath, HUB_URL } from "../packages/huggingface_hub.ts";
import { join } from "../packages/std_path.ts";
import { UserError } from "../options/user_error.ts";
import { statOf } from "../files/stat.ts";
import { quoted } from "../text.ts";

/** Where the hub and its cache are, and the token for private repositories. */
export interface HubEnvironment {
  /** Without a trailing slash; HF_ENDPOINT sets a mirror. */
  readonly endpoint: string;
  /** $HF_HUB_CACHE, $HF_HOME/hub or ~/.cache/huggingface/hub: shared with the Python libraries. */
  readonly cacheFolder: string;
  /** From HF_TOKEN or $HF_HOME/token, with its origin for messages. */
  readonly token?: { readonly value: string; readonly origin: string };
  /** HF_HUB_OFFLINE: use only the cache. */
  readonly offline: boolean;
  /**
   * Use the hub's own transfer protocol, with many parallel requests; HF_HUB_DISABLE_XET disables
   * it.
   */
  readonly xet: boolean;
}

export async function readHubEnvironment(): Promise<HubEnvironment> {
  const endpoint = (Deno.env.get("HF_ENDPOINT") || HUB_URL).replace(/\/+$/, "");
  if (!/^https?:$/.test(URL.parse(endpoint)?.protocol ?? "")) {
    throw new UserError(
      `HF_ENDPOINT: ${quoted(endpoint)} is not a URL`,
      `expected the URL of the hub or of a mirror, such as ${HUB_URL}`,
    );
  }
  return {
    endpoint,
    cacheFolder: getHFHubCachePath(),
    token: await readToken(),
    offline: isTrue("HF_HUB_OFFLINE") || isTrue("TRANSFORMERS_OFFLINE"),
    xet: !isTrue("HF_HUB_DISABLE_XET"),
  };
}

async function readToken(): Promise<HubEnvironment["token"]> {
  for (const origin of ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"]) {
    const value = Deno.env.get(origin)?.trim();
    if (value) return { value, origin };
  }
  const path = Deno.env.get("HF_TOKEN_PATH") ?? join(homeFolder(), "token");
  const value = (await statOf(path) ? await Deno.readTextFile(path) : "").trim();
  return value ? { value, origin: path } : undefined;
}

/** The folder of the Python library's token and, by default, its cache. */
function homeFolder(): string {
  const given = Deno.env.get("HF_HOME");
  if (given) return given;
  const user = Deno.env.get("HOME") ?? Deno.env.get("USERPROFILE") ?? ".";
  return join(Deno.env.get("XDG_CACHE_HOME") ?? join(user, ".cache"), "huggingface");
}

function isTrue(name: string): boolean {
  return ["1", "ON", "YES", "TRUE"].includes((Deno.env.get(name) ?? "").toUpperCase());
}
