/** The options of a job, from the server's OpenAPI document. */
import { request } from "./api.js";

/**
 * @typedef {object} OptionInfo
 * @property {string} name
 * @property {"number" | "integer" | "boolean" | "string" | "list"} type
 * @property {boolean} orWord accepts a word as well as a number
 * @property {string[]} choices
 * @property {string} description
 * @property {string} fallback the default, or how it is derived
 * @property {boolean} fixed the default is a value
 * @property {string} section
 * @property {Method[]} methods the choices of the method field
 *
 * @typedef {object} Method
 * @property {string} name value of the option `optimizer`
 * @property {string} title
 * @property {string} description
 * @property {string} [rank_option] the option that sets its rank
 */

/**
 * Options that another says as well, under OpenAI's name or our own, and that other.
 *
 * @type {Record<string, string>}
 */
export const TWICE = { epochs: "n_epochs", learning_rate_multiplier: "lr" };

/** @type {Promise<OptionInfo[]> | undefined} */
let options;

/** @returns {Promise<OptionInfo[]>} in the document's order */
export function jobOptions() {
  options ??= request("/openapi.json").then(readOptions).catch((error) => {
    options = undefined;
    throw error;
  });
  return options;
}

/** @param {Record<string, any>} document @returns {OptionInfo[]} */
export function readOptions(document) {
  const body = document.paths?.["/v1/fine_tuning/jobs"]?.post?.requestBody?.content;
  let schema = body?.["application/json"]?.schema;
  for (const name of ["method", "supervised", "hyperparameters"]) {
    schema = propertiesOf(document, schema)[name];
  }
  return Object.entries(propertiesOf(document, schema))
    .filter(([name, field]) => !(name in TWICE) && !field.deprecated)
    .map(([name, field]) => infoOf(document, name, field));
}

/** @param {Record<string, any>} document @param {any} schema @returns {any} */
function resolve(document, schema) {
  const path = schema?.$ref?.replace("#/", "").split("/");
  return path
    ? resolve(
      document,
      path.reduce((/** @type {any} */ at, /** @type {string} */ key) => at?.[key], document),
    )
    : schema;
}

/**
 * Properties of all parts of a schema.
 *
 * @param {Record<string, any>} document
 * @param {any} schema
 * @returns {Record<string, any>}
 */
function propertiesOf(document, schema) {
  const { properties, anyOf, oneOf, allOf } = resolve(document, schema) ?? {};
  const parts = [...(allOf ?? []), ...(anyOf ?? []), ...(oneOf ?? [])];
  return Object.assign({}, ...parts.map((part) => propertiesOf(document, part)), properties);
}

/**
 * @param {Record<string, any>} document
 * @param {string} name
 * @param {any} field
 * @returns {OptionInfo}
 */
function infoOf(document, name, field) {
  const schema = resolve(document, field);
  const parts = (schema.anyOf ?? schema.oneOf ?? [schema]).map((/** @type {any} */ part) =>
    resolve(document, part)
  );
  const types = parts.map((/** @type {any} */ { type }) => Array.isArray(type) ? type[0] : type);
  const words = parts.flatMap((/** @type {any} */ part) =>
    part.enum ?? (part.const === undefined ? [] : [part.const])
  ).map(String);
  const number = types.find((/** @type {string} */ type) =>
    type === "integer" || type === "number"
  );
  // Descriptions state derived defaults in words.
  const [description, derived] = String(schema.description ?? "").split("; default: ");
  const type = number ?? (types[0] === "array" ? "list" : types[0]) ?? "string";
  return {
    name,
    type,
    orWord: Boolean(number) && types.includes("string"),
    choices: number || type === "boolean" ? [] : words,
    description,
    fallback: String(schema["x-default"] ?? derived ?? ""),
    fixed: schema["x-default"] !== undefined,
    section: schema["x-section"] ?? "Options",
    methods: schema["x-methods"] ?? [],
  };
}
