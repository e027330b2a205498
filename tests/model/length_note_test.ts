import { assertEquals } from "@std/assert";
import { type LlamaConfig, PRESETS } from "../../src/model/config.ts";
import { lengthNote, longerNote } from "../../src/model/length_note.ts";
import { stretchRope } from "../../src/train/stretch_rope.ts";

const MODEL = PRESETS.llama_9m; // 1,024 positions

Deno.test("sequences of another length than in training have a note", () => {
  assertEquals(lengthNote(MODEL, 1024), undefined);
  assertEquals(
    lengthNote(MODEL, 256),
    "sequences have 256 tokens, the model has 1024 positions: with less context the loss is higher",
  );
  assertEquals(longerNote(MODEL, 256), []);
  const trained = { ...MODEL, trainedLength: 64 };
  assertEquals(lengthNote(trained, 64), undefined);
  const beyond = "sequences have 256 tokens, the model was trained with 64: the later positions " +
    "are new to it";
  assertEquals(lengthNote(trained, 256), beyond);
  assertEquals(longerNote(trained, 256), [beyond]);
  const yarn = stretchRope(MODEL, { seqLen: 2048, ropeScaling: "yarn" }, "m");
  assertEquals(longerNote(yarn, 2048), [
    "sequences have 2048 tokens, the model has 1024 positions before RoPE is scaled: RoPE is " +
    "scaled (yarn)",
  ]);
  // Llama 3.1 was trained on long texts with its scaling.
  const llama: LlamaConfig = {
    ...MODEL,
    maxPositions: 131072,
    ropeScaling: {
      type: "llama3",
      factor: 8,
      lowFreqFactor: 1,
      highFreqFactor: 4,
      originalMaxPositions: 8192,
    },
  };
  assertEquals(longerNote(llama, 16384), []);
});
