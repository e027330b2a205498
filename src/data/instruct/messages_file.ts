/**
 * A dialogue in a file, in the format of OpenAI's API: a list of messages, or an object with one.
 */
import { isObject } from "../../files/fields.ts";
import { parseJson } from "../../files/json_value.ts";
import { UserError } from "../../options/user_error.ts";
import type { ChatExample } from "./example.ts";
import { recordFormat } from "./record_format.ts";
import { toExample } from "./records.ts";

/**
 * Reads the dialogue for a model to answer. Throws a {@link UserError} that names the file and what
 * is wrong.
 */
export async function readMessages(path: string): Promise<Pick<ChatExample, "messages" | "tools">> {
  let json: unknown;
  try {
    json = parseJson(await Deno.readTextFile(path));
  } catch (error) {
    const what = error instanceof SyntaxError ? "is not valid JSON" : "cannot be read";
    throw new UserError(`${path}: ${what}: ${(error as Error).message}`);
  }
  const isRecord = isObject(json) && "messages" in json;
  if (!isRecord && !Array.isArray(json)) {
    throw new UserError(
      `${path}: must be a list of messages, or an object that has one as "messages"`,
      '[{ "role": "user", "content": "Hello" }]',
    );
  }
  const record = isRecord ? json : { messages: json };
  const { messages, tools } = toExample(record, recordFormat("openai"), path) as ChatExample;
  if (!messages.length) throw new UserError(`${path}: has no message`);
  if (messages.at(-1)!.role === "assistant") {
    throw new UserError(`${path}: ends with the assistant's message: nothing to answer`);
  }
  return { messages, tools };
}
