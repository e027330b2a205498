/**
 * Every comparison with transformers, peft and llama.cpp, one after the other:
 *
 *     pip install torch transformers peft llama-cpp-python
 *     deno task interop <python> <folder to work in>
 */
await import("./architectures.ts");
await import("./added_tokens.ts");
