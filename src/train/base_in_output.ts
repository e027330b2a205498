/** Refuses a run whose output folder holds what it starts from. */
import { option, phrase } from "../options/phrase.ts";
import { UserError } from "../options/user_error.ts";
import { isAbsolute, join, relative, resolve, SEPARATOR } from "../packages/std_path.ts";
import { namesIn } from "../files/names_in.ts";
import { isThere, statOf } from "../files/stat.ts";

/**
 * A run replaces `model` or `adapter` in its output folder and removes checkpoints there, so neither
 * its base nor the adapter that it trains further may lie in it, by whatever links. That holds for a
 * resumed run too: its checkpoint lacks what is not trained, and can be continued into another folder.
 */
export async function assertOutside(
  { output, resume }: { readonly output?: string; readonly resume?: string },
  read: { readonly model?: string; readonly adapter?: string },
): Promise<void> {
  if (output === undefined || !await isThere(output)) return;
  // The results may be links to folders elsewhere, which they would be written to.
  const written = await realPaths([output, join(output, "model"), join(output, "adapter")]);
  for (const [what, path] of Object.entries(read)) {
    if (path === undefined) continue;
    const places = await realPaths([path, ...await filesIn(path)]);
    if (!places.some((place) => written.some((folder) => isWithin(place, folder)))) continue;
    const from = resume === "auto" || resume === "latest" ? output : resume;
    throw new UserError(
      phrase`${option("output", output)}: holds the ${what} that the run starts from, ${path}, and a
        run replaces what its folder holds`,
      from === undefined
        ? phrase`choose another ${option("output")}`
        : phrase`choose another ${option("output")}: ${
          option("resume", from)
        } continues the run there`,
    );
  }
}

/**
 * The files of a base's folder, which may be links to files elsewhere. A folder in it is nothing that is
 * read: it may be the output.
 */
async function filesIn(path: string): Promise<string[]> {
  const paths = (await namesIn(path).catch(() => [])).map((name) => join(path, name));
  const found = await Promise.all(paths.map((path) => statOf(path).catch(() => undefined)));
  return paths.filter((_, index) => !found[index]?.isDirectory);
}

/** Without links; a path that cannot be followed stays as it is. */
function realPaths(paths: readonly string[]): Promise<string[]> {
  return Promise.all(paths.map((path) => {
    const whole = resolve(path);
    return Deno.realPath(whole).catch(() => whole);
  }));
}

function isWithin(path: string, folder: string): boolean {
  const way = relative(folder, path);
  // On Windows the way to another drive is absolute.
  return way !== ".." && !way.startsWith(`..${SEPARATOR}`) && !isAbsolute(way);
}
