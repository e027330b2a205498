/** Tools and their calls, in the forms that data sets have. */
import { type JsonObject, parseJson } from "../../files/json_value.ts";
import {
  excerpt,
  isGiven,
  isRecord,
  jsonAt,
  listAt,
  objectAt,
  RecordError,
  textAt,
} from "./record_values.ts";

type Json = Record<string, unknown>;

/** What the meaning of null depends on. */
export interface NullRule {
  /**
   * Whether the record is a row of a table. Tables give all rows the same nested fields, so null
   * stands for "not there"; in JSON it is a value.
   */
  readonly fromTable?: boolean;
}

/**
 * Functions that the model may call: `{ type: "function", function: { name, … } }` or the function
 * alone, handed to the template in the form that the record has.
 */
export function toolsAt(value: unknown, where: string): readonly JsonObject[] | undefined {
  if (!isGiven(value) || value === "") return undefined;
  const tools = listAt(value, where, "a list of functions").map((each, index) => {
    return toolAt(each, `${where}[${index}]`);
  });
  return tools.length ? tools : undefined;
}

function toolAt(value: unknown, where: string): JsonObject {
  const tool = objectAt(value, where), at = `${where}.function`;
  const isBare = isGiven(tool.name) && !isGiven(tool.function);
  if (!isBare && isGiven(tool.type) && tool.type !== "function") throw notAFunction(where, value);
  const whole = isGiven(tool.type) && !isBare || isGiven(tool.function)
    ? { ...tool, function: functionAt(objectAt(tool.function, at), at) }
    : functionAt(tool, where);
  return jsonAt(whole, where, isFiller) as JsonObject;
}

function functionAt(value: Json, where: string): Json {
  checkName(value, where);
  const { description, parameters } = value, at = `${where}.parameters`;
  if (isGiven(description)) textAt(description, `${where}.description`);
  return isGiven(parameters) ? { ...value, parameters: objectAt(parameters, at) } : value;
}

function notAFunction(where: string, value: unknown): RecordError {
  return new RecordError(
    `${where} must be a function, got ${excerpt(value)}`,
    '{"type": "function", "function": {"name": …, "description": …, "parameters": {…}}}',
  );
}

function checkName(value: Json, where: string): void {
  if (textAt(value.name, `${where}.name`) === "") {
    throw new RecordError(`${where}.name must not be empty`);
  }
}

/** Keywords of JSON Schema whose value may be null, and those below which keys are names. */
const NULLABLE = ["default", "const", "example"];
const NAMES = ["properties", "patternProperties", "$defs", "definitions"];

/** Elsewhere in a schema null means nothing; tables fill the union of all tools' fields with it. */
function isFiller(key: string, parent: string): boolean {
  return NAMES.includes(parent) || !NULLABLE.includes(key);
}

/** OpenAI's list of an assistant's calls, or undefined if it is empty. */
export function toolCallsAt(
  value: unknown,
  where: string,
  rule: NullRule,
): readonly JsonObject[] | undefined {
  if (!isGiven(value)) return undefined;
  const calls = listAt(value, where, "a list of calls").map((each, index) => {
    return toolCallAt(each, `${where}[${index}]`, rule);
  });
  return calls.length ? calls : undefined;
}

function toolCallAt(value: unknown, where: string, rule: NullRule): JsonObject {
  const call = withoutNulls(objectAt(value, where)), at = `${where}.function`;
  if (call.id !== undefined) textAt(call.id, `${where}.id`);
  if (call.type !== undefined && call.type !== "function") {
    throw new RecordError(`${where}.type must be "function", got ${excerpt(call.type)}`);
  }
  if (call.function === undefined && call.name !== undefined) return callAt(call, where, rule);
  return jsonAt(
    { ...call, function: callAt(objectAt(call.function, at), at, rule) },
    where,
  ) as JsonObject;
}

/** What arguments are called elsewhere. */
const OTHER_ARGUMENTS = ["parameters", "params", "args", "kwargs", "input"];

/** A function's name and arguments, which become an object: OpenAI writes them as a string. */
export function callAt(value: Json, where: string, rule: NullRule): JsonObject {
  checkName(value, where);
  const other = OTHER_ARGUMENTS.find((name) => isGiven(value[name]));
  if (other && !isGiven(value.arguments)) {
    throw new RecordError(
      `${where}.${other} (${excerpt(value[other])}) has no place here, and would be lost`,
      'a call is {"name": …, "arguments": {…}}',
    );
  }
  const given = argumentsAt(value.arguments, `${where}.arguments`, rule);
  return jsonAt({ ...withoutNulls(value), arguments: given }, where) as JsonObject;
}

function withoutNulls(value: Json): Json {
  return Object.fromEntries(Object.entries(value).filter(([, each]) => isGiven(each)));
}

function argumentsAt(value: unknown, where: string, { fromTable }: NullRule): JsonObject {
  if (!isGiven(value)) return {};
  // Inside a string, null is what the author wrote.
  const drops = () => fromTable === true && typeof value !== "string";
  return jsonAt(objectAt(value, where), where, drops) as JsonObject;
}

/** ShareGPT's `function_call` turn: a call, or a list of calls, as JSON in the text. */
export function callsInText(text: string, where: string, rule: NullRule): readonly JsonObject[] {
  let value: unknown;
  try {
    value = parseJson(text);
  } catch {
    value = undefined;
  }
  const calls = Array.isArray(value) ? value : [value];
  if (!calls.length || !calls.every((call) => isRecord(call) && isGiven(call.name))) {
    throw new RecordError(
      `${where}: a function call must be JSON with "name" and "arguments", got ${excerpt(text)}`,
    );
  }
  return calls.map((call: Json) => {
    return { type: "function", function: callAt({ name: call.name, ...call }, where, rule) };
  });
}
