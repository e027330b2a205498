/**
 * Prepares the machine: finds an adapter, installs a driver on Debian as root, or says exactly what
 * to install. The same for what tests need and are skipped without: with `--browser` a browser for the
 * dashboard's, with `--mpi` Open MPI for those of several processes, with `--postgres` PostgreSQL for
 * those of the server's workers. Plain Deno, so that it runs before anything else has been downloaded.
 *
 * @module
 */
import {
  type DebianPackages,
  driverAdvice,
  DRIVERS,
  inspectSystem,
  isDebian,
  type System,
} from "./src/host/system.ts";
import { adapterName, describeAdapter, findAdapter } from "./src/gpu/adapter.ts";
import { findBrowser } from "./src/host/find_browser.ts";
import { findMpirun } from "./src/host/find_mpi.ts";
import { findPostgres } from "./src/host/find_postgres.ts";

const BROWSER: DebianPackages = {
  names: ["chromium"],
  purpose: "the browser for the dashboard's tests",
  size: "some 220 MB to download, 800 MB on disk",
};

const MPI: DebianPackages = {
  names: ["openmpi-bin", "libopenmpi3"],
  purpose: "Open MPI, for tests of training in several processes",
  size: "some 7 MB to download, 25 MB on disk",
};

const POSTGRES: DebianPackages = {
  names: ["postgresql"],
  purpose: "PostgreSQL, for tests of the server's workers",
  size: "some 20 MB to download, 70 MB on disk",
};

/** The adapter's name, or null. */
async function probe(): Promise<string | null> {
  const adapter = await findAdapter();
  if (!adapter) return null;
  const { software, ...description } = describeAdapter(adapter);
  const name = adapterName(description);
  return software ? `${name}: no graphics card, so everything works, but slowly` : name;
}

/** The same in a new process, because the list of drivers is read once per process. */
async function probeAfresh(): Promise<string | null> {
  const { success, stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", import.meta.url, "--probe"],
    stderr: "null",
  }).output();
  return success ? new TextDecoder().decode(stdout).trim() : null;
}

async function aptGet(...args: string[]): Promise<boolean> {
  console.error(`setup: apt-get ${args.join(" ")}`);
  try {
    const { success } = await new Deno.Command("apt-get", {
      args,
      env: { DEBIAN_FRONTEND: "noninteractive" },
      // Keep apt's output off stdout.
      stdout: "null",
      stderr: "inherit",
    }).output();
    return success;
  } catch (error) {
    console.error(`setup: ${(error as Error).message}`);
    return false;
  }
}

/** Announces and installs packages; returns false if that is impossible here or fails. */
async function install(
  system: System,
  { names, purpose, size }: DebianPackages,
): Promise<boolean> {
  if (!system.root || !isDebian(system)) return false;
  console.error(`setup: will install ${names.join(", ")} with apt-get (${size}): ${purpose}`);
  return await aptGet("update") &&
    await aptGet("install", "-y", "--no-install-recommends", ...names);
}

async function setup(system: System): Promise<number> {
  const found = await probe();
  if (found) {
    console.error(`setup: found an adapter: ${found}`);
    return 0;
  }
  console.error("setup: this machine offers no adapter to WebGPU: it needs a graphics driver");
  const adapter = await install(system, DRIVERS) ? await probeAfresh() : null;
  if (adapter) {
    console.error(`setup: installed ${DRIVERS.names.join(", ")}; found an adapter: ${adapter}`);
    return 0;
  }
  console.error("setup: to install one:");
  for (const line of driverAdvice(system)) console.error(`  ${line}`);
  console.error("then run `deno task setup` again");
  return 1;
}

/** `root` is where to search, for tests. */
async function setupBrowser(system: System, root: string | undefined): Promise<void> {
  let found = findBrowser(root);
  if (!found && await install(system, BROWSER)) found = findBrowser(root);
  console.error(
    found
      ? `setup: found a browser: ${found}`
      : "setup: no browser: tests that need one will be skipped; install Chromium or Chrome to run " +
        `them (on Debian: sudo apt-get install chromium, ${BROWSER.size})`,
  );
}

/** The same for Open MPI. */
async function setupMpi(system: System, root: string | undefined): Promise<void> {
  let found = findMpirun(root);
  if (!found && await install(system, MPI)) found = findMpirun(root);
  console.error(
    found
      ? `setup: found Open MPI: ${found}`
      : "setup: no Open MPI: tests of several processes will be skipped; install it to run them (on " +
        "Debian: sudo apt-get install openmpi-bin libopenmpi3, on a Mac: brew install open-mpi)",
  );
}

/** The same for PostgreSQL. */
async function setupPostgres(system: System, root: string | undefined): Promise<void> {
  let found = findPostgres(root);
  if (!found && await install(system, POSTGRES)) found = findPostgres(root);
  console.error(
    found
      ? `setup: found PostgreSQL: ${found}`
      : "setup: no PostgreSQL: tests of the server's workers will be skipped; install it to run them " +
        "(on Debian: sudo apt-get install postgresql, on a Mac: brew install postgresql)",
  );
}

if (import.meta.main) {
  if (Deno.args[0] === "--browser") {
    await setupBrowser(inspectSystem(), Deno.args[1]);
    Deno.exit(0);
  }
  if (Deno.args[0] === "--mpi") {
    await setupMpi(inspectSystem(), Deno.args[1]);
    Deno.exit(0);
  }
  if (Deno.args[0] === "--postgres") {
    await setupPostgres(inspectSystem(), Deno.args[1]);
    Deno.exit(0);
  }
  if (Deno.args[0] === "--probe") {
    const adapter = await probe();
    if (adapter) console.log(adapter);
    Deno.exit(adapter ? 0 : 1);
  }
  Deno.exit(await setup(inspectSystem()));
}
