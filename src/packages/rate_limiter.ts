export * from "npm:rate-limiter-flexible@^11.4.0";
