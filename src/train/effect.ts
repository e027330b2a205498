/**
 * What an option needs to have an effect. An option that a run would ignore is refused, whatever its
 * value: it was meant to change something.
 */
import type { Phrase } from "../options/phrase.ts";
import type { Rule } from "../options/schema.ts";
import { quantisation } from "./method_fields.ts";
import {
  DEFAULT_METHOD,
  type Method,
  type MethodName,
  methodNamed,
  methodOf,
  methodsWith,
} from "./methods.ts";

/** Values of options by their names. */
export type Values = Readonly<Record<string, unknown>>;

/** Options that have an effect beside some options and none beside others. */
export interface Effect {
  /** The options, by name. */
  readonly options: readonly string[];
  /** Whether they have one; `options` are valid, with defaults, `given` is what the user set. */
  used(options: Values, given: Values): boolean;
  /** Whether they are on unless switched off, which then is what has an effect. */
  readonly isOnByDefault?: true;
  /** What they need, for a message that follows the option's name. */
  needs(options: Values): Phrase;
}

/** Options that are used only by some methods. */
export function onlyWith(
  options: readonly string[],
  holds: (method: Method) => unknown,
  why = "needs",
): Effect {
  const names = methodsWith(holds);
  return {
    options,
    used: ({ optimizer }) => optimizer === undefined || names.includes(optimizer as MethodName),
    needs: ({ optimizer }) => `${why} the optimizer ${names.join(" or ")}, got ${optimizer}`,
  };
}

/** Options that another one makes meaningless, or is needed by. */
export function only(
  options: readonly string[],
  used: Effect["used"],
  needs: Phrase | Effect["needs"],
): Effect {
  return { options, used, needs: typeof needs === "function" ? needs : () => needs };
}

/** Whether the user gave an option. */
export function isSet(name: string) {
  return (_: Values, given: Values) => given[name] !== undefined;
}

/** What is quantised in a run. */
export const quantised = (options: Values) =>
  quantisation(options as Parameters<typeof quantisation>[0]);
/** The method of a run. */
export const method = ({ optimizer }: Values) => methodOf(optimizer as MethodName);

/**
 * Refuses options that have no effect, each with the first reason. Switching off what is off already
 * is no fault.
 */
export function effectRules(effects: readonly Effect[]): Rule[] {
  const names = new Set(effects.flatMap(({ options }) => options));
  return [...names].map((name): Rule => {
    const own = effects.filter(({ options }) => options.includes(name));
    return (options, given) => {
      const changes = given[name] !== false || own.some(({ isOnByDefault }) => isOnByDefault);
      // An invalid value, or method, has a fault of its own.
      const checked = given[name] !== undefined && changes && options[name] !== undefined &&
        options.optimizer !== undefined;
      const without = checked ? own.find(({ used }) => !used(options, given)) : undefined;
      return without && { option: name, message: without.needs(options) };
    };
  });
}

/** The options of a stored run that have an effect; an older version may have kept others. */
export function effective(effects: readonly Effect[], given: Values): Record<string, unknown> {
  const options = { ...given, optimizer: methodNamed(given.optimizer) ?? DEFAULT_METHOD };
  const idle = new Set(
    effects.filter((effect) => !effect.used(options, given)).flatMap(({ options }) => options),
  );
  return Object.fromEntries(Object.entries(given).filter(([name]) => !idle.has(name)));
}
