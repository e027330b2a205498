/** What failed downloads and clones leave in place of files, in each kind of file of a model. */
import { fromFileUrl, join } from "@std/path";
import { openPretrained } from "../../src/formats/pretrained_model.ts";
import { UserError } from "../../src/options/user_error.ts";
import { loadTokenizer } from "../../src/tokenizers/load_tokenizer.ts";
import { assertRefusesAsync } from "../support_errors.ts";

const PLAIN = fromFileUrl(import.meta.resolve("../fixtures/lenient/plain/"));
const GGUF = fromFileUrl(import.meta.resolve("../fixtures/gguf/llama.gguf"));

const POINTER = "version https://git-lfs.github.com/spec/v1\n" +
  "oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n";
const PAGE = "\n<!DOCTYPE html>\n<html><head><title>Sign in</title></head></html>\n";

Deno.test("a pointer of Git LFS or a web page in place of a model's file is named", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const model = join(folder, "model.safetensors"), config = join(folder, "config.json");
    const lay = (path: string, text: string) => Deno.writeTextFile(path, text);
    const refused = (path: string, message: string, of = folder) =>
      assertRefusesAsync(() => openPretrained(of), UserError, `${path}: ${message}`);
    await lay(config, "");
    await refused(config, "is empty");
    await lay(config, POINTER);
    await refused(config, "is a Git LFS pointer, not the file itself\n  hint: run git lfs pull");
    await lay(config, PAGE);
    await refused(config, "is a web page (HTML), not the file itself\n  hint: download the file");
    await Deno.copyFile(PLAIN + "config.json", config);
    await lay(model, POINTER);
    await refused(model, "is a Git LFS pointer");
    await lay(model, PAGE);
    await refused(model, "is a web page (HTML)");
    await lay(model, "Entry not found");
    await refused(model, 'is text, not weights: "Entry not found"');
    await lay(model, "PK\x03\x04...");
    await refused(model, "is a file of PyTorch, or another zip archive");
    await Deno.copyFile(GGUF, model);
    await refused(model, "is a GGUF file\n  hint: its name says something else");
    const weights = await Deno.readFile(PLAIN + "model.safetensors");
    await Deno.writeFile(model, weights.subarray(0, 100));
    await refused(model, "header of");
    const index = join(folder, "model.safetensors.index.json");
    await Deno.remove(model);
    await lay(index, POINTER);
    await refused(index, "is a Git LFS pointer");
    for (
      const [text, message] of [
        [POINTER, "is a Git LFS pointer"],
        [PAGE, "is a web page (HTML)"],
        ["Invalid username or password.", "is text, not weights"],
      ]
    ) {
      const path = join(folder, "model.gguf");
      await lay(path, text);
      await refused(path, message, path);
    }
    const tokenizer = join(folder, "tokenizer.json");
    for (const [text, message] of [[POINTER, "is a Git LFS"], [PAGE, "is a web page"]]) {
      await lay(tokenizer, text);
      await assertRefusesAsync(
        () => loadTokenizer(folder),
        UserError,
        `${tokenizer}: ${message}`,
      );
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
