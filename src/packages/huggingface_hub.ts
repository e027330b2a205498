export * from "npm:@huggingface/hub@^2.17.0";
