/**
 * Where this process was started by a compiled program as one of its server's processes, importing
 * this runs that and ends: before the program's own main module, whatever it does.
 */
import { childModule, dropPermissions } from "./processes/own_program.ts";

/** Imported by name, so that `deno compile` includes them. */
const PROGRAMS: Readonly<Record<string, () => Promise<unknown>>> = {
  "./processes/probe_process.ts": () => import("./processes/probe_process.ts"),
  "./processes/mpi_process.ts": () => import("./processes/mpi_process.ts"),
  "./files/check_records_process.ts": () => import("./files/check_records_process.ts"),
  "./admission/model_facts_process.ts": () => import("./admission/model_facts_process.ts"),
  "./admission/rehearsal_process.ts": () => import("./admission/rehearsal_process.ts"),
  "./jobs/job_report_process.ts": () => import("./jobs/job_report_process.ts"),
  "./worker/train.ts": () => import("./worker/train.ts"),
  "./inference/worker.ts": () => import("./inference/worker.ts"),
};

if (childModule) {
  const isAsked = (path: string) => new URL(path, import.meta.url).href === childModule;
  const name = Object.keys(PROGRAMS).find(isAsked);
  if (!name) throw new Error(`${childModule}: no process of the server`);
  dropPermissions();
  await PROGRAMS[name]();
  Deno.exit(0);
}
