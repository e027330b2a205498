/** All filters. */
import { NUMBER_FILTERS } from "./number_filters.ts";
import { namedBy, plain, type Registry } from "./registry.ts";
import { SEQUENCE_FILTERS } from "./sequence_filters.ts";
import { TESTS } from "./tests.ts";
import { TEXT_FILTERS } from "./text_filters.ts";
import { str } from "./repr.ts";

export const FILTERS: Registry = { ...TEXT_FILTERS, ...SEQUENCE_FILTERS, ...NUMBER_FILTERS };

/** Filters and tests by name; two of the tests ask for the names themselves. */
export const NAMED = namedBy(FILTERS, {
  ...TESTS,
  filter: plain("value", (name) => Object.hasOwn(FILTERS, str(name))),
  test: plain("value", (name) => Object.hasOwn(TESTS, str(name))),
});
