export * from "npm:hyparquet-compressors@^1.1.0";
