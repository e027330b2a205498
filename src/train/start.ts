/** What a run starts from: a checkpoint or nothing, and its output folder. */
import { UserError } from "../options/user_error.ts";
import { option, phrase } from "../options/phrase.ts";
import { type Checkpoint, findCheckpoint } from "../formats/checkpoint/reader.ts";
import type { RunOptions } from "./recipe.ts";

/** The checkpoint to resume from; refuses to start a new run over existing ones. */
export async function startingPoint(
  { output, resume, overwriteOutput }: RunOptions,
  warn: (message: string) => void,
): Promise<Checkpoint | undefined> {
  if (resume) return await findCheckpoint(output, resume, warn);
  if (overwriteOutput) return undefined;
  const found = await findCheckpoint(output, "auto", warn);
  if (found) {
    throw new UserError(
      `${output} already holds a run: ${found.path}`,
      phrase`add ${option("resume", "auto")} to continue it or ${option("overwriteOutput", true)}
        to remove it, or choose another ${option("output")}`,
    );
  }
}

/** Creates the output folder early, before computing anything that could not be saved there. */
export async function makeOutput(output: string): Promise<void> {
  const refuse = (what: string, error: unknown): never => {
    throw new UserError(
      phrase`${option("output", output)}: ${what}: ${(error as Error).message}`,
      "choose a writable folder",
    );
  };
  await Deno.mkdir(output, { recursive: true }).catch((error) =>
    refuse("cannot be created", error)
  );
  try {
    await Deno.remove(await Deno.makeTempFile({ dir: output, prefix: ".writable-" }));
  } catch (error) {
    refuse("cannot be written to", error);
  }
}
