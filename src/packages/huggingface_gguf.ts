export * from "npm:@huggingface/gguf@^0.4.0";
