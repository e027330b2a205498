/** A tokenizer's chat templates by name, from wherever the versions of transformers keep them. */
import { isObject } from "../files/fields.ts";
import {
  ADDITIONAL_TEMPLATES,
  CHAT_TEMPLATE,
  OLD_CHAT_TEMPLATE,
} from "../files/tokenizer_files.ts";

/**
 * transformers 5 has the template in a file, and further ones in a folder, by name; version 4 has
 * one, or a list of named ones, in tokenizer_config.json (`configured`); some of its versions had one
 * in chat_template.json. Files take precedence, as in transformers. The ordinary template is called
 * `default`, the one for dialogues with tools `tool_use`.
 */
export function chatTemplatesOf(
  files: ReadonlyMap<string, Uint8Array>,
  configured: unknown,
): ReadonlyMap<string, string> {
  const inFiles = [...files].flatMap(([path, bytes]): [string, string][] => {
    const name = path === CHAT_TEMPLATE ? "default" : additionalName(path);
    return name === undefined ? [] : [[name, new TextDecoder().decode(bytes)]];
  });
  if (inFiles.length > 0) return new Map(inFiles);
  if (typeof configured === "string") return new Map([["default", configured]]);
  if (Array.isArray(configured)) return new Map(configured.flatMap(namedTemplate));
  const old = files.get(OLD_CHAT_TEMPLATE);
  return new Map(old ? oldTemplate(new TextDecoder().decode(old)) : []);
}

function additionalName(path: string): string | undefined {
  const [folder, file] = path.split("/");
  return folder === ADDITIONAL_TEMPLATES ? file.replace(/\.jinja$/, "") : undefined;
}

function namedTemplate(value: unknown): [string, string][] {
  if (!isObject(value)) return [];
  const { name, template } = value;
  return typeof name === "string" && typeof template === "string" ? [[name, template]] : [];
}

function oldTemplate(text: string): [string, string][] {
  try {
    const { chat_template: template } = JSON.parse(text);
    return typeof template === "string" ? [["default", template]] : [];
  } catch {
    return [];
  }
}
