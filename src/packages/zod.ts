export * from "npm:zod@^4.0.0";
