// @ts-types="./std_yaml.d.ts"
export * from "npm:deno-std@^1.4.0/yaml/mod.js";
