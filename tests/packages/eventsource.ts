export * from "npm:eventsource@^4.1.0";
