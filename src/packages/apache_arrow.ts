export * from "npm:apache-arrow@^21.2.0";
