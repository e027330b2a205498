/** Processes started by MPI's launcher. */
import { fromFileUrl } from "@std/path";
import { findMpirun } from "../../src/host/find_mpi.ts";

const MPIRUN = findMpirun();
/** What fails in this code waits for ever. Minutes, for both processors may have other work. */
const LIMIT_MS = 300_000;
/** In which the launcher, asked to end, ends what it started. */
const GRACE_MS = 5000;
const LOCK = fromFileUrl(import.meta.resolve("../deno.lock"));

/** What came of them. */
export interface Ranks<Report> {
  readonly code: number;
  readonly stderr: string;
  /** Of each rank, in order. */
  readonly reports: readonly (readonly Report[])[];
}

/** In a process: writes a report, for a launcher cuts what several print at once. */
export function report(rank: number, what: unknown): void {
  const path = `${Deno.env.get("REPORTS")}/${rank}`;
  Deno.writeTextFileSync(path, `${JSON.stringify(what)}\n`, { append: true });
}

/** A module of this folder in `size` processes. */
export async function inRanks<Report>(
  size: number,
  module: string,
  args: readonly string[],
  permissions: readonly string[] = ["-A"],
): Promise<Ranks<Report>> {
  const path = fromFileUrl(import.meta.resolve(`./${module}`));
  const run = ["run", ...permissions, "--no-check", `--lock=${LOCK}`, path, ...args];
  const folder = await Deno.makeTempDir();
  try {
    const env = { REPORTS: folder };
    const { code, stderr } = await mpirun(size, [Deno.execPath(), ...run], { env });
    const reports = Array.from(
      { length: size },
      (_, rank) => reportsIn<Report>(`${folder}/${rank}`),
    );
    return { code, stderr, reports };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function reportsIn<Report>(path: string): Report[] {
  try {
    return Deno.readTextFileSync(path).trim().split("\n").map((line) => JSON.parse(line));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

/**
 * A program in `size` processes, on however few processors. Throws if it has not ended after `limitMs`,
 * by which time the launcher and what it started are ended.
 */
export async function mpirun(
  size: number,
  program: readonly string[],
  { env, limitMs = LIMIT_MS }: {
    readonly env?: Record<string, string>;
    readonly limitMs?: number;
  } = {},
): Promise<{ readonly code: number; readonly stdout: string; readonly stderr: string }> {
  const child = new Deno.Command(MPIRUN!, {
    args: [
      ...Deno.uid() === 0 ? ["--allow-run-as-root"] : [],
      ...["--oversubscribe", "--bind-to", "none", "-n", `${size}`],
      ...program,
    ],
    env: { NO_COLOR: "1", ...env },
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const ended = new AbortController();
  const limit = setTimeout(() => {
    ended.abort();
    child.kill("SIGTERM");
  }, limitMs);
  const last = setTimeout(() => child.kill("SIGKILL"), limitMs + GRACE_MS);
  const { code, stdout, stderr } = await child.output();
  clearTimeout(limit);
  clearTimeout(last);
  const [out, error] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  if (ended.signal.aborted) {
    throw new Error(`${size} ranks had not ended after ${limitMs / 1000} s\n${out}\n${error}`);
  }
  return { code, stdout: out, stderr: error };
}

/** A test that needs the launcher; skipped where it is missing. */
export function mpiTest(name: string, fn: () => Promise<void>): void {
  const skipped = MPIRUN ? "" : " (skipped: Open MPI was not found; `deno task setup-mpi`)";
  Deno.test({ name: name + skipped, ignore: !MPIRUN, fn });
}
