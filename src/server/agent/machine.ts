/** This machine as its server knows it: its workers, and what they can run. */
import { join } from "../../packages/std_path.ts";
import { writeAtomically } from "../../files/atomic.ts";
import { isThere } from "../../files/stat.ts";
import { VERSION } from "../../product.ts";
import { findLauncher } from "../processes/find_launcher.ts";
import type { OwnWorker } from "../services.ts";

export interface Machine {
  readonly version: string;
  /** Tells it from another whose workers have the same names. */
  readonly machine: string;
  readonly workers: readonly OwnWorker[];
  /** Most processes of a job that it can run. */
  readonly ranks: number;
}

/** The folder, which is locked, has its identity: a worker that was killed comes back as itself. */
export async function describeMachine(
  folder: string,
  workers: readonly OwnWorker[],
): Promise<Machine> {
  const path = join(folder, "machine");
  if (!await isThere(path)) {
    const id = new TextEncoder().encode(crypto.randomUUID());
    await writeAtomically(path, async (file) => void await file.write(id));
  }
  const machine = (await Deno.readTextFile(path)).trim();
  return { version: VERSION, machine, workers, ranks: canLaunch() ? workers.length : 1 };
}

function canLaunch(): boolean {
  try {
    findLauncher();
    return true;
  } catch {
    return false; // it is no fault of a machine whose jobs have one process each
  }
}
