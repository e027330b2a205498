// @ts-types="./lz4js.d.ts"
export * from "npm:lz4js@^0.2.0";
