/** Probes the GPU in a separate process, so that a driver crash does not take the server down. */
import { type Card, dealtCard, environmentOf, LISTING, parseCards } from "../../host/cards.ts";
import { GpuError } from "../../gpu/errors.ts";
import { UserError } from "../../options/user_error.ts";
import { denoProcess, GPU_ENVIRONMENT, type Permissions } from "./deno_process.ts";
import type { Device } from "../services.ts";
import { ask } from "./ask.ts";

/** The process's output. */
export type ProbeResult = { readonly device: Device } | { readonly advice: readonly string[] };

/** A driver that has not answered by then never will. */
const TIMEOUT = 60_000;

const PROGRAM = new URL("./probe_process.ts", import.meta.url).href;

const PERMISSIONS: Permissions = {
  env: [...GPU_ENVIRONMENT, "VK_DRIVER_FILES", "VK_ICD_FILENAMES"],
  sys: ["uid"],
  // To inspect what is installed, for advice if there is no adapter.
  read: ["/etc", "/usr/share/vulkan", "/.dockerenv", "/run/.containerenv"],
};

/** Throws a {@link GpuError} with installation advice if no adapter works. */
export async function probeDevice(): Promise<Device> {
  const asked = await ask<ProbeResult>(startProbe(), TIMEOUT);
  if ("failure" in asked) {
    const { end, stderr } = asked.failure, last = stderr.split("\n").at(-1);
    throw new GpuError(
      `the GPU probe ${end}${last ? `: ${last}` : ""}`,
      "`deno task doctor` gives details",
    );
  }
  const result = asked.answer;
  if ("device" in result) return result.device;
  throw new UserError(
    ["no WebGPU adapter was found", ...result.advice].join("\n  "),
    "`deno task setup` installs what it can (on Debian, as root); `deno task doctor` gives details",
  );
}

/**
 * The cards that jobs are dealt to, with what the process of a job is told to see only its own; empty
 * where there is one at most, or no telling (docs/parallel.md).
 */
export async function probeCards({ capabilities }: Device): Promise<DealtCard[]> {
  if (capabilities.software || Deno.build.os !== "linux") return [];
  const { stderr } = await denoProcess(PROGRAM, PERMISSIONS, { environment: LISTING }).output();
  return dealt(parseCards(new TextDecoder().decode(stderr)) ?? []);
}

export interface DealtCard {
  readonly name: string;
  readonly environment: Readonly<Record<string, string>>;
}

/** Each of those that ranks of one run would be dealt, once. */
export function dealt(cards: readonly Card[]): DealtCard[] {
  const own: Card[] = [];
  for (let card; (card = dealtCard(cards, own.length)) && !own.includes(card);) own.push(card);
  return own.map((card) => ({
    name: card.name,
    environment: Object.fromEntries(
      Object.entries(environmentOf(card, cards)).flatMap(([name, value]) =>
        value === undefined ? [] : [[name, value]]
      ),
    ),
  }));
}

function startProbe(): Deno.ChildProcess {
  try {
    return denoProcess(PROGRAM, PERMISSIONS).spawn();
  } catch (error) {
    if (!(error instanceof Deno.errors.NotCapable)) throw error;
    throw new UserError(missingRun(Deno.execPath()));
  }
}

/** Deno separates the paths of a permission by commas, and offers no way to escape one. */
export function missingRun(deno: string): string {
  const why =
    "the server runs GPU work in processes of its own, which Deno must be allowed to start";
  return deno.includes(",")
    ? `${why}, but ${deno} has a comma: move it to another folder, or add --allow-run`
    : `${why}: add --allow-run="${deno}", as \`deno task serve\` does`;
}
