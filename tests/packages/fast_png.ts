/** Decodes PNG. */
export { decode } from "npm:fast-png@^8.0.0";
