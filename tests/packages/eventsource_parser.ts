export * from "npm:eventsource-parser@^3.1.0";
