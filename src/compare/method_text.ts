/** A method as it is given, with options of its own: `adamw:lr=0.002:no-fira`. */
import type { Fault } from "../options/faults.ts";
import { option, type Phrase, phrase } from "../options/phrase.ts";
import { fieldInfo, type OptionFields } from "../options/schema.ts";
import { camelCase, quoted } from "../text.ts";
import { METHOD_NAMES, type MethodName, methodNamed } from "../train/methods.ts";
import { KINDS, type Values } from "./kinds.ts";
import type { ComparedKind } from "./options.ts";

/** Sections of options by which methods may differ; what the others say is held equal. */
const METHOD_SECTIONS = ["Optimizer", "LoRA"];
/** Beside these sections: how a method stores and schedules what it trains. */
const METHOD_OPTIONS = [
  "dtype",
  "activationCheckpointing",
  "activationQuant",
  "accumulatorQuant",
  "warmupSteps",
  "warmupRatio",
  "scheduler",
  "minLrRatio",
  "gpuMemory",
];

function isOfMethod(name: string, field: OptionFields[string]): boolean {
  return METHOD_OPTIONS.includes(name) || METHOD_SECTIONS.includes(fieldInfo(field).section);
}

/** The method, its own options, and what is wrong with them. */
export function readMethod(kind: ComparedKind, text: string): {
  optimizer?: MethodName;
  own: Values;
  fault?: Fault;
} {
  const [name, ...settings] = text.split(":");
  const optimizer = methodNamed(name);
  if (!optimizer) {
    const message = `${quoted(name)} is no method`;
    return { own: {}, fault: { option: "methods", message, near: [name, METHOD_NAMES] } };
  }
  const { run, compared } = KINDS[kind], own: Record<string, unknown> = {};
  const names = Object.keys(compared.fields).filter((name) =>
    name in run.fields && isOfMethod(name, compared.fields[name])
  );
  for (const setting of settings) {
    const [word, ...rest] = setting.split("="), value = rest.length ? rest.join("=") : undefined;
    const negated = word.startsWith("no-") && !names.includes(camelCase(word));
    const option = camelCase(negated ? word.slice("no-".length) : word);
    if (option in run.fields && !names.includes(option)) {
      return { optimizer, own, fault: methodFault(text, heldEqual(word, option, compared.fields)) };
    }
    if (!names.includes(option)) {
      const near = [option, names] as const;
      const message = `${text}: ${quoted(word)} is no option`;
      return { optimizer, own, fault: { option: "methods", message, near } };
    }
    own[option] = readValue(fieldInfo(compared.fields[option]).type, value, negated);
  }
  return { optimizer, own };
}

function heldEqual(word: string, name: string, fields: OptionFields): Phrase {
  const what = phrase`${quoted(word)} is the same for all methods`;
  const shared = name === "seed" ? "seeds" : name;
  return shared in fields ? phrase`${what}: give ${option(shared)} of the comparison` : what;
}

function readValue(type: string, value: string | undefined, negated: boolean): unknown {
  if (type === "boolean" && (value === undefined || value === "true" || value === "false")) {
    return (value !== "false") !== negated;
  }
  if (type === "list") return [value];
  const isNumber = (type === "number" || type === "integer") && value?.trim() !== "" &&
    Number.isFinite(Number(value));
  return isNumber ? Number(value) : value ?? null;
}

/** Says of which method it is. */
export function methodFault(name: string, message: Phrase): Fault {
  return { option: "methods", message: phrase`${name}: ${message}` };
}
