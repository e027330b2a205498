import { assertEquals } from "@std/assert";
import { cacheFolder } from "../../src/host/cache_folder.ts";

const OWN = "/made/up/cache";

function withOwn(own = OWN): string | undefined {
  const before = Deno.env.get("XDG_CACHE_HOME");
  Deno.env.set("XDG_CACHE_HOME", own);
  try {
    return cacheFolder();
  } finally {
    if (before === undefined) Deno.env.delete("XDG_CACHE_HOME");
    else Deno.env.set("XDG_CACHE_HOME", before);
  }
}

const folder = { read: [OWN], write: [OWN] };

for (
  const [what, permissions, expected] of [
    ["is below XDG_CACHE_HOME", { env: true, ...folder }, `${OWN}/deno-galore`],
    ["is unknown where it must not be written to", { env: true, read: [OWN], write: false }],
    ["is unknown where it must not be read", { env: true, read: false, write: [OWN] }],
  ] as const
) {
  Deno.test({
    name: `the cache folder ${what}`,
    permissions: permissions as Deno.PermissionOptions,
    ignore: Deno.build.os !== "linux", // others have a convention of their own
    fn: () => assertEquals(withOwn(), expected),
  });
}

Deno.test({
  name: "the cache folder is unknown where the environment must not be read",
  permissions: { env: false },
  fn: () => assertEquals(cacheFolder(), undefined),
});

Deno.test({
  name: "the cache folder is not below an XDG_CACHE_HOME that is relative",
  ignore: Deno.build.os !== "linux",
  fn: () => assertEquals(withOwn("relative"), `${Deno.env.get("HOME")}/.cache/deno-galore`),
});
