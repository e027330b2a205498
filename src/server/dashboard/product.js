/** The product's name, as in src/product.ts. */
export const PRODUCT = "Deno GaLore";
