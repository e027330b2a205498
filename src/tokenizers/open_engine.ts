/** Opens a tokenizer.json, and finds what is wrong with one that does not open. */
import { isObject } from "../files/fields.ts";
import { UserError } from "../options/user_error.ts";
import { Engine } from "./engine.ts";
import { quoted } from "../text.ts";

type Json = Record<string, unknown>;

/** Throws a {@link UserError} that names the file, and the part that is not understood. */
export function openEngine(origin: string, json: Json, bytes: Uint8Array): Engine {
  const { model } = json;
  if (!isObject(model) || !model.vocab) {
    throw new UserError(`${origin}: is not a tokenizer: model.vocab is missing`);
  }
  if (Number(model.dropout) > 0) {
    throw new UserError(
      `${origin}: model.dropout is ${model.dropout}: every encoding of a text would be another`,
      "set it to null",
    );
  }
  try {
    return new Engine(bytes, unknownId(model));
  } catch (error) {
    const fault = faultyPart(json) ?? (error as Error).message;
    throw new UserError(`${origin}: is not a tokenizer: ${fault}`);
  }
}

/** Unigram names its unknown token by id, the other models by its text. */
function unknownId({ unk_id, unk_token, vocab }: Json): number | null {
  if (typeof unk_id === "number") return unk_id;
  const id = typeof unk_token === "string" && isObject(vocab) && Object.hasOwn(vocab, unk_token)
    ? vocab[unk_token]
    : null;
  return typeof id === "number" ? id : null;
}

const PARTS = ["normalizer", "pre_tokenizer", "post_processor", "decoder", "added_tokens"];
/** A model that takes every part. */
const MODEL = { type: "WordLevel", vocab: { "": 0 }, unk_token: "" };

/** The library reports a place in the file, but not what it was reading. */
function faultyPart(json: Json): string | null {
  const opens = (name: string, part: unknown) => {
    try {
      new Engine(
        new TextEncoder().encode(JSON.stringify({ version: "1.0", [name]: part, model: MODEL })),
        null,
      );
      return true;
    } catch {
      return false;
    }
  };
  const name = PARTS.find((name) =>
    !opens(name, json[name] ?? (name === "added_tokens" ? [] : null))
  );
  if (name === undefined) return null;
  let part = json[name];
  // Of a sequence, the step that is not understood.
  for (let steps = stepsOf(part); steps.length; steps = stepsOf(part)) {
    const faulty = steps.find((step) => !opens(name, step));
    if (faulty === undefined) break;
    part = faulty;
  }
  return `${name} is not understood: ${quoted(part)}`;
}

function stepsOf(part: unknown): unknown[] {
  if (!isObject(part) || part.type !== "Sequence") return [];
  const lists = [part.normalizers, part.pretokenizers, part.processors, part.decoders];
  return lists.find(Array.isArray) ?? [];
}
