export * from "npm:openai@^7.57.0";
export { default } from "npm:openai@^7.57.0";
export { Stream } from "npm:openai@^7.57.0/streaming";
