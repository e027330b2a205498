export * from "npm:@fastify/busboy@^3.2.0";
