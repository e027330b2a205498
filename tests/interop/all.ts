/**
 * Every comparison with transformers, peft and llama.cpp, one after the other:
 *
 *     pip install torch transformers peft llama-cpp-python
 *     deno task interop <python> <folder to work in>
 */
import { fromFileUrl } from "@std/path";

await import("./architectures.ts");
await import("./added_tokens.ts");
await import("./trained_tokenizer.ts");

console.log("RoPE's scalings through GGUF");
const [python] = Deno.args;
const script = new URL("rope_gguf.py", import.meta.url);
const { success } = await new Deno.Command(python, {
  args: [fromFileUrl(script)],
  env: { DENO: Deno.execPath() },
}).spawn().status;
if (!success) Deno.exit(1);
