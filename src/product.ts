/**
 * The product's name and version.
 *
 * @module
 */

/**
 * Display name, for titles and the label of the GPU device. The package is `@deno-galore/trainer`.
 */
export const PRODUCT = "Deno GaLore";

/** Version of the package; duplicated in deno.jsonc, which cannot import it. */
export const VERSION = "0.2.0";
