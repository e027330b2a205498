/** Paths as Deno's permission flags take them. */
import { UserError } from "../gpu/errors.ts";

/** Deno parts paths by commas and knows no way to write one in a path: there, a {@link UserError}. */
export function pathList(paths: readonly string[]): string {
  const bad = paths.find((path) => path.includes(","));
  if (bad === undefined) return paths.join(",");
  throw new UserError(
    `${bad}: has a comma in its path, and no process can be given leave to read such a one`,
    "rename it, or the folder that it lies in",
  );
}
