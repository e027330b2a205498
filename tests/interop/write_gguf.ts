/**
 * Writes a model folder as GGUF without a tokenizer, for llama_cpp_logits.py.
 *
 *     deno run -A tests/interop/write_gguf.ts <folder> <output.gguf> <f16|q8_0>
 */
import { writeGguf } from "../../src/export/write_gguf.ts";
import { readLlamaConfig } from "../../src/formats/hf_config.ts";
import { Safetensors } from "../../src/formats/safetensors.ts";

const [folder, output, type] = Deno.args;
const config = await readLlamaConfig(folder);
using weights = await Safetensors.open(folder);

async function* whole(name: string) {
  yield await weights.readFloat32(name);
}

const tensors = [...weights.tensors.values()]
  .filter(({ name }) => !config.tieWordEmbeddings || name !== "lm_head.weight")
  .map(({ name, shape }) => ({ name, shape, data: whole(name) }));
await writeGguf(output, { config, tensors, type: type === "q8_0" ? type : "f16" });
