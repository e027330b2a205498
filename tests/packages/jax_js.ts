export * from "npm:@jax-js/jax@^0.1.25";
