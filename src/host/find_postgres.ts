/** Finds PostgreSQL for the tests of the server's workers. Has no dependencies, like `setup.ts`. */

/** Where systems put them; Debian a folder for each version. */
const FOLDERS = ["/usr/bin", "/usr/local/bin", "/opt/homebrew/bin", "/usr/local/pgsql/bin"];
const VERSIONS = ["/usr/lib/postgresql"];

/**
 * The folder of `initdb` and `postgres`, of the newest version; undefined if not found. `root` is
 * prepended to every location.
 */
export function findPostgres(root = ""): string | undefined {
  const versions = VERSIONS.flatMap((folder) =>
    namesIn(root + folder).sort((a, b) => Number(b) - Number(a))
      .map((version) => `${folder}/${version}/bin`)
  );
  const has = (folder: string) =>
    ["initdb", "postgres"].every((each) => isFile(`${folder}/${each}`));
  return [...versions, ...FOLDERS].map((folder) => root + folder).find(has);
}

function namesIn(folder: string): string[] {
  try {
    return [...Deno.readDirSync(folder)].map(({ name }) => name);
  } catch {
    return [];
  }
}

function isFile(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}
