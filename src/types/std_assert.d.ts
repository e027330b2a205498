/**
 * Types of `@std/assert`: the npm copy of Deno's standard library has none. Remove this file once
 * the import map in deno.jsonc points to JSR.
 */
declare module "@std/assert" {
  export class AssertionError extends Error {}

  // deno-lint-ignore no-explicit-any
  type ErrorClass<E extends Error> = abstract new (...args: any[]) => E;
  // deno-lint-ignore no-explicit-any
  type AnyClass<T> = abstract new (...args: any[]) => T;

  export function assert(condition: unknown, message?: string): asserts condition;
  export function assertFalse(condition: unknown, message?: string): asserts condition is false;
  export function assertEquals<T>(actual: T, expected: T, message?: string): void;
  export function assertNotEquals<T>(actual: T, expected: T, message?: string): void;
  export function assertStrictEquals<T>(
    actual: unknown,
    expected: T,
    message?: string,
  ): asserts actual is T;
  export function assertNotStrictEquals<T>(actual: T, expected: T, message?: string): void;
  export function assertAlmostEquals(
    actual: number,
    expected: number,
    tolerance?: number,
    message?: string,
  ): void;
  export function assertExists<T>(actual: T, message?: string): asserts actual is NonNullable<T>;
  export function assertInstanceOf<T>(
    actual: unknown,
    expected: AnyClass<T>,
    message?: string,
  ): asserts actual is T;
  export function assertNotInstanceOf(
    actual: unknown,
    unexpected: AnyClass<unknown>,
    message?: string,
  ): void;
  export function assertIsError<E extends Error = Error>(
    error: unknown,
    expected?: ErrorClass<E>,
    includes?: string | RegExp,
    message?: string,
  ): asserts error is E;
  export function assertStringIncludes(actual: string, expected: string, message?: string): void;
  export function assertArrayIncludes<T>(
    actual: ArrayLike<T>,
    expected: ArrayLike<T>,
    message?: string,
  ): void;
  export function assertObjectMatch(
    actual: object,
    expected: Record<PropertyKey, unknown>,
    message?: string,
  ): void;
  export function assertMatch(actual: string, expected: RegExp, message?: string): void;
  export function assertNotMatch(actual: string, expected: RegExp, message?: string): void;
  export function assertGreater<T>(actual: T, expected: T, message?: string): void;
  export function assertGreaterOrEqual<T>(actual: T, expected: T, message?: string): void;
  export function assertLess<T>(actual: T, expected: T, message?: string): void;
  export function assertLessOrEqual<T>(actual: T, expected: T, message?: string): void;

  export function assertThrows(run: () => unknown, message?: string): unknown;
  export function assertThrows<E extends Error>(
    run: () => unknown,
    error: ErrorClass<E>,
    includes?: string,
    message?: string,
  ): E;
  export function assertRejects(
    run: () => PromiseLike<unknown>,
    message?: string,
  ): Promise<unknown>;
  export function assertRejects<E extends Error>(
    run: () => PromiseLike<unknown>,
    error: ErrorClass<E>,
    includes?: string,
    message?: string,
  ): Promise<E>;

  export function equal(a: unknown, b: unknown): boolean;
  export function fail(message?: string): never;
  export function unreachable(reason?: string): never;
  export function unimplemented(message?: string): never;
}
