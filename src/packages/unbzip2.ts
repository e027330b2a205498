// @ts-types="./unbzip2.d.ts"
export { default } from "npm:unbzip2-stream@^1.4.3";
