/** A process that answers once: one JSON value on stdout, and it ends. */

/** How it ended without an answer. */
export interface NoAnswer {
  /** "ended with code 1", "was ended by SIGKILL" */
  readonly end: string;
  /** What it wrote to stderr. */
  readonly said: string;
}

export type Asked<Answer> = { readonly answer: Answer } | { readonly failure: NoAnswer };

/** Ends it after `timeout` milliseconds. A driver may crash as it ends: the answer counts then too. */
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
    // It ended before it had printed all of it.
    const end = signal ? `was ended by ${signal}` : `ended with code ${code}`;
    return { failure: { end, said: new TextDecoder().decode(stderr).trim() } };
  }
}
