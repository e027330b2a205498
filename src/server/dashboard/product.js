/** What the product is called, as in src/product.ts. */
export const PRODUCT = "Deno GaLore";
