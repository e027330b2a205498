/** deno.jsonc, as tests read it. */
import { parse } from "@std/jsonc";

/** The fields that a test reads. */
export interface Project {
  readonly name: string;
  readonly version: string;
  readonly tasks: Readonly<
    Record<string, { readonly command: string; readonly dependencies?: readonly string[] }>
  >;
  readonly imports: Readonly<Record<string, string>>;
}

export const PROJECT_FILE = new URL("../deno.jsonc", import.meta.url);

export const project = parse(Deno.readTextFileSync(PROJECT_FILE)) as Project;
