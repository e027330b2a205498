/** A process that prints one JSON value to stdout and ends. */

/** How a process ended without an answer. */
export interface NoAnswer {
  /** "ended with code 1", "was ended by SIGKILL" */
  readonly end: string;
  readonly stderr: string;
}

export type Asked<Answer> = { readonly answer: Answer } | { readonly failure: NoAnswer };

/** Kills it after `timeout` milliseconds. An answer counts even if a driver crashes on exit. */
export async function ask<Answer>(
  child: Deno.ChildProcess,
  timeout: number,
): Promise<Asked<Answer>> {
  const timer = setTimeout(() => child.kill("SIGKILL"), timeout);
  const { stdout, stderr, code, signal } = await child.output();
  clearTimeout(timer);
  try {
    return { answer: JSON.parse(new TextDecoder().decode(stdout)) };
  } catch {
    // It ended in the middle of its answer.
    const end = signal ? `was ended by ${signal}` : `ended with code ${code}`;
    return { failure: { end, stderr: new TextDecoder().decode(stderr).trim() } };
  }
}
