/** Types of what is used of `@std/assert`; see src/packages/std_path.d.ts. */

export declare class AssertionError extends Error {}

// deno-lint-ignore no-explicit-any
type ErrorClass<E extends Error> = abstract new (...args: any[]) => E;
// deno-lint-ignore no-explicit-any
type AnyClass<T> = abstract new (...args: any[]) => T;

export declare function assert(condition: unknown, message?: string): asserts condition;
export declare function assertFalse(
  condition: unknown,
  message?: string,
): asserts condition is false;
export declare function assertEquals<T>(actual: T, expected: T, message?: string): void;
export declare function assertNotEquals<T>(actual: T, expected: T, message?: string): void;
export declare function assertStrictEquals<T>(
  actual: unknown,
  expected: T,
  message?: string,
): asserts actual is T;
export declare function assertNotStrictEquals<T>(actual: T, expected: T, message?: string): void;
export declare function assertAlmostEquals(
  actual: number,
  expected: number,
  tolerance?: number,
  message?: string,
): void;
export declare function assertExists<T>(
  actual: T,
  message?: string,
): asserts actual is NonNullable<T>;
export declare function assertInstanceOf<T>(
  actual: unknown,
  expected: AnyClass<T>,
  message?: string,
): asserts actual is T;
export declare function assertNotInstanceOf(
  actual: unknown,
  unexpected: AnyClass<unknown>,
  message?: string,
): void;
export declare function assertIsError<E extends Error = Error>(
  error: unknown,
  expected?: ErrorClass<E>,
  includes?: string | RegExp,
  message?: string,
): asserts error is E;
export declare function assertStringIncludes(
  actual: string,
  expected: string,
  message?: string,
): void;
export declare function assertArrayIncludes<T>(
  actual: ArrayLike<T>,
  expected: ArrayLike<T>,
  message?: string,
): void;
export declare function assertObjectMatch(
  actual: object,
  expected: Record<PropertyKey, unknown>,
  message?: string,
): void;
export declare function assertMatch(actual: string, expected: RegExp, message?: string): void;
export declare function assertNotMatch(actual: string, expected: RegExp, message?: string): void;
export declare function assertGreater<T>(actual: T, expected: T, message?: string): void;
export declare function assertGreaterOrEqual<T>(actual: T, expected: T, message?: string): void;
export declare function assertLess<T>(actual: T, expected: T, message?: string): void;
export declare function assertLessOrEqual<T>(actual: T, expected: T, message?: string): void;

export declare function assertThrows(run: () => unknown, message?: string): unknown;
export declare function assertThrows<E extends Error>(
  run: () => unknown,
  error: ErrorClass<E>,
  includes?: string,
  message?: string,
): E;
export declare function assertRejects(
  run: () => PromiseLike<unknown>,
  message?: string,
): Promise<unknown>;
export declare function assertRejects<E extends Error>(
  run: () => PromiseLike<unknown>,
  error: ErrorClass<E>,
  includes?: string,
  message?: string,
): Promise<E>;

export declare function equal(a: unknown, b: unknown): boolean;
export declare function fail(message?: string): never;
export declare function unreachable(reason?: string): never;
export declare function unimplemented(message?: string): never;
