export * from "npm:ml-matrix@^6.12.0";
