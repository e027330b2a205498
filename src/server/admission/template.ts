/** Checks before a job is created that its dialogues can be written as text. */
import { TEMPLATE_NAMES } from "../../data/instruct/templates.ts";
import { inOneLine } from "../../options/user_error.ts";
import { nearestWord } from "../../options/faults.ts";
import { spell } from "../../options/phrase.ts";
import { counted, shortened } from "../../text.ts";
import type { FinetuneOptions } from "../../train/finetune_options.ts";
import { ApiError } from "../api_error.ts";
import { askRecords } from "../files/ask_records.ts";
import { REQUEST } from "../protocol/spelling.ts";
import type { Services } from "../services.ts";
import type { Purpose } from "../store/file_kinds.ts";
import type { FileContents, FileRecord } from "../store/records.ts";
import { type ModelFacts, usableTemplates } from "./model_facts.ts";

type Files = Pick<Services, "store" | "storage">;

/** A name that the library knows; a path of the server's machine is none. */
export function assertTemplateName(template: string, param: string): void {
  if (TEMPLATE_NAMES.includes(template)) return;
  const nearest = nearestWord(template, TEMPLATE_NAMES);
  throw new ApiError(400, {
    message: `${param}: must be one of ${TEMPLATE_NAMES.join(", ")}, got ${shortened(template)}` +
      (nearest ? ` (did you mean ${nearest}?)` : ""),
    param,
    code: "invalid_hyperparameters",
    choices: TEMPLATE_NAMES,
  });
}

/** What is to be written, and with what. */
export interface Templated {
  readonly model: ModelFacts & { readonly name: string };
  readonly options: Pick<FinetuneOptions, "template" | "dataFormat" | "samplePrompt">;
  readonly files: readonly string[];
  /** The field of the request that chooses the template. */
  readonly param: string;
}

/** Throws an ApiError 400 with the choices if dialogues need another template than the one chosen. */
export async function assertTemplate(
  services: Files,
  { model, options, files, param }: Templated,
): Promise<void> {
  const { template, samplePrompt } = options, fault = model.templateFaults[template];
  if (!fault) return;
  const dialogues = await firstDialogues(services, files, options);
  if (dialogues === undefined && !samplePrompt?.length) return;
  const need = dialogues ?? "a sample prompt is a dialogue, which a chat template writes as text";
  const choices = usableTemplates(model), isMissing = template === "default";
  const why = isMissing
    ? `${model.name}: ${spell(fault.message, REQUEST)}`
    : `${spell(inOneLine(fault), REQUEST)} (${model.name})`;
  throw new ApiError(400, {
    message: `${param}: ${need}; ${why}. Choose the template that the model was or will be ` +
      `trained with: ${choices.join(", ")}`,
    param,
    code: isMissing ? "missing_chat_template" : "invalid_hyperparameters",
    choices,
  });
}

/** The first file with dialogues, in words. */
async function firstDialogues(
  services: Files,
  ids: readonly string[],
  { dataFormat }: Templated["options"],
): Promise<string | undefined> {
  // Otherwise fields are read as asked, not as they were counted.
  if (dataFormat === "prompt_completion" || dataFormat === "text") return undefined;
  for (const id of ids) {
    const file = services.store.files.get(id)!, contents = await contentsOf(file, services);
    if (!contents?.chat) continue;
    const dialogues = counted(contents.chat, "dialogue");
    return `${file.filename} (${id}) has ${dialogues}, which a chat template writes as text`;
  }
}

/** As counted at the upload; a server that did not count left it to this one, which does so once. */
async function contentsOf(
  file: FileRecord,
  { store, storage }: Files,
): Promise<FileContents | undefined> {
  if (file.contents) return file.contents;
  const { filename, ending, purpose } = file;
  const { contents, ended } = await askRecords({
    path: storage.filePath(file),
    filename,
    ending,
    purpose: purpose as Purpose,
  });
  // What cannot be read is reported by who reads it for its records.
  if (ended !== undefined) return undefined;
  store.files.setContents(file.id, contents);
  return contents;
}
