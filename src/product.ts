/**
 * What the product is called, and its version.
 *
 * @module
 */

/** For people: titles, and the label of the GPU device. The package is `@deno-galore/trainer`. */
export const PRODUCT = "Deno GaLore";

/** Of the package: deno.jsonc has it too, because it takes no value from a module. */
export const VERSION = "0.1.0";
