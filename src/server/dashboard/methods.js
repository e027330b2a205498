/** The ways to train, as the form tells them apart. */
import { h, setText } from "./dom.js";

/**
 * @typedef {object} Method
 * @property {string} id value of the option `optimizer`
 * @property {string} name
 * @property {string} about
 * @property {"rank" | "lora_rank"} [rank] the option that sets its rank
 */

/** @type {readonly Method[]} */
export const METHODS = [
  {
    id: "q_galore_adamw8bit",
    name: "Q-GaLore",
    rank: "rank",
    about:
      "Trains every weight, in INT8, through a low-rank view of the gradients. The least memory of the methods that change the whole model.",
  },
  {
    id: "galore_adamw8bit",
    name: "GaLore 8-bit",
    rank: "rank",
    about:
      "Trains every weight in bfloat16 through a low-rank view of the gradients, with 8-bit moments.",
  },
  {
    id: "galore_adamw",
    name: "GaLore",
    rank: "rank",
    about: "Trains every weight in bfloat16 through a low-rank view of the gradients.",
  },
  {
    id: "qlora",
    name: "QLoRA",
    rank: "lora_rank",
    about:
      "Trains small adapters beside weights frozen in 4 bits. The least memory of all; the result is an adapter.",
  },
  {
    id: "lora",
    name: "LoRA",
    rank: "lora_rank",
    about: "Trains small adapters beside frozen weights. The result is an adapter.",
  },
  {
    id: "adamw8bit",
    name: "AdamW 8-bit",
    about: "Trains every weight in full, with 8-bit moments.",
  },
  { id: "adamw", name: "AdamW", about: "Trains every weight in full. The most memory." },
];

/** @param {(method: Method) => void} onChange @param {string} [chosen] */
export function createMethodField(onChange, chosen = METHODS[0].id) {
  const about = h("p", { class: "hint", id: "method-about", "aria-live": "polite" });
  const radios = METHODS.map(({ id, name }) => {
    const input = h("input", {
      type: "radio",
      name: "method",
      value: id,
      class: "visually-hidden",
      "aria-describedby": "method-about",
    });
    input.addEventListener("change", () => choose(id));
    return { input, chip: h("label", { class: "chip" }, input, h("span", {}, name)) };
  });
  const element = h(
    "fieldset",
    { class: "field method-field", "data-param": "optimizer" },
    h("legend", { class: "visually-hidden" }, "Method"),
    h("div", { class: "chips" }, radios.map(({ chip }) => chip)),
    about,
  );
  let current = METHODS[0];

  /** @param {string} id */
  function choose(id) {
    current = METHODS.find((method) => method.id === id) ?? METHODS[0];
    for (const { input } of radios) input.checked = input.value === current.id;
    setText(about, current.about);
    onChange(current);
  }
  choose(chosen);
  return {
    element,
    choose,
    get value() {
      return current;
    },
  };
}
