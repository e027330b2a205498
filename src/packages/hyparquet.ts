export * from "npm:hyparquet@^1.20.0";
