/** Assertions on errors as text: message and hint. */
import { assertInstanceOf, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import { explain, UserError } from "../src/options/user_error.ts";

// deno-lint-ignore no-explicit-any
type ErrorClass<E extends UserError> = new (...args: any[]) => E;

/** Like `assertThrows`, for an error whose message and hint include `text`; returns it. */
export function assertRefuses<E extends UserError>(
  run: () => unknown,
  kind: ErrorClass<E>,
  text: string,
): E {
  return check(assertThrows(run, UserError), kind, text);
}

/** The same for `assertRejects`. */
export async function assertRefusesAsync<E extends UserError>(
  run: () => PromiseLike<unknown>,
  kind: ErrorClass<E>,
  text: string,
): Promise<E> {
  return check(await assertRejects(run, UserError), kind, text);
}

function check<E extends UserError>(error: UserError, kind: ErrorClass<E>, text: string): E {
  assertInstanceOf(error, kind);
  assertStringIncludes(explain(error), text);
  return error;
}
