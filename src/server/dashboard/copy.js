/** Text to copy: a command, an id. */
import { announce, fill, h } from "./dom.js";
import { icon } from "./icons.js";

/** @param {string | (() => string)} text @param {string} label what is copied, for its name */
export function copyButton(text, label) {
  const button = h("button", {
    type: "button",
    class: "icon-button",
    "aria-label": `Copy ${label}`,
    title: `Copy ${label}`,
  }, icon("copy"));
  button.addEventListener("click", async () => {
    await copyText(typeof text === "string" ? text : text());
    fill(button, icon("check"));
    announce("Copied");
    setTimeout(() => fill(button, icon("copy")), 1500);
  });
  return button;
}

/** @param {string} text */
async function copyText(text) {
  // Not there where the page came over plain HTTP from another machine.
  if (navigator.clipboard) return await navigator.clipboard.writeText(text);
  const box = h("textarea", { class: "visually-hidden", readonly: true, "aria-hidden": "true" });
  box.value = text;
  document.body.append(box);
  box.select();
  document.execCommand("copy");
  box.remove();
}

/** Commands in a frame. @param {string} text @param {string} label */
export function codeBlock(text, label) {
  return h(
    "div",
    { class: "code" },
    h("pre", { tabindex: 0, role: "region", "aria-label": label }, h("code", {}, text)),
    copyButton(text, label),
  );
}
