/** First steps, shown while there are no jobs; on a phone also the title of their list. */
import { fill, h, setText } from "./dom.js";
import { codeBlock } from "./copy.js";
import { shownOf } from "./format.js";
import { icon } from "./icons.js";
import { allJobs, onJobsChanged } from "./jobs.js";
import { baseModels, modelsLoaded, onModelsChanged } from "./models.js";

export function createHome() {
  const title = h("h1", { tabindex: -1 }, "Train your first model");
  const steps = h("ol", { class: "first-steps" });
  const command = h("div");
  const element = h(
    "section",
    { class: "view home" },
    title,
    h(
      "p",
      { class: "lead" },
      "Fine-tune a model on this machine's GPU, watch it train, then chat with it.",
    ),
    steps,
    h("p", { class: "or", "aria-hidden": "true" }, "or"),
    h(
      "section",
      { class: "api-way", "aria-label": "Instead of the form" },
      h("h2", {}, "Use the API instead"),
      h("p", {}, "The API is OpenAI's, so its clients work unchanged."),
      command,
    ),
  );

  function draw() {
    const jobs = allJobs().length > 0;
    element.classList.toggle("with-jobs", jobs);
    setText(title, jobs ? "Jobs" : "Train your first model");
    if (!modelsLoaded) return;
    const models = baseModels();
    fill(
      steps,
      step(
        "Choose a base model",
        models.length > 0,
        models.length ? [h("p", {}, `In the models folder: ${names(models)}.`)] : howToAddModels(),
      ),
      step("Choose data and a method", false, [
        h(
          "p",
          {},
          "Upload examples, such as JSON Lines with a conversation or an instruction per line. The form shows how much memory the run needs before it starts.",
        ),
        h("a", { class: "button primary", href: "#/new" }, icon("plus"), "New job"),
      ]),
    );
    fill(command, codeBlock(CURL(models[0]?.id ?? "MODEL"), "Commands to start a job"));
  }
  const ends = [onModelsChanged(draw), onJobsChanged(draw)];
  draw();
  return {
    element,
    focusTarget: title,
    destroy() {
      for (const end of ends) end();
    },
  };
}

/** @param {string} title @param {boolean} done @param {HTMLElement[]} content */
function step(title, done, content) {
  return h(
    "li",
    { class: done ? "is-done" : undefined },
    h("h2", {}, title, done ? h("span", { class: "step-done" }, icon("check"), "Done") : null),
    content,
  );
}

/** @param {{ id: string }[]} models */
function names(models) {
  const count = shownOf(models.length, 4);
  const shown = models.slice(0, count).map(({ id }) => id).join(", ");
  return models.length > count ? `${shown} and ${models.length - count} more` : shown;
}

/** Instructions for an empty models folder. */
export function howToAddModels() {
  return [
    h(
      "p",
      {},
      "The models folder is empty. Add a model, either a folder in Hugging Face's layout or a .gguf file, and it appears here without a restart.",
    ),
    codeBlock(
      "hf download HuggingFaceTB/SmolLM2-135M-Instruct \\\n  --local-dir models/smollm2",
      "Command to download a model",
    ),
    h(
      "p",
      { class: "muted" },
      "“models” is the folder given to the server with --models-folder.",
    ),
  ];
}

/** @param {string} model */
const CURL = (model) =>
  `curl ${location.origin}/v1/files \\
  -F purpose=fine-tune -F file=@examples.jsonl

curl ${location.origin}/v1/fine_tuning/jobs \\
  -H 'Content-Type: application/json' \\
  -d '{"model": "${model}", "training_file": "file-…"}'`;
