/** Files and models on the server's disk, which can be deleted to make room. */
import { h } from "./dom.js";
import { createFilesCard } from "./files_card.js";
import { connection, onConnectionChanged } from "./live.js";
import { createResultsCard } from "./results_card.js";

export function createFilesView() {
  const title = h("h1", { tabindex: -1 }, "Files and models");
  const files = createFilesCard();
  const results = createResultsCard();
  const element = h(
    "section",
    { class: "view files-view" },
    h(
      "header",
      { class: "view-head" },
      title,
      h(
        "p",
        { class: "muted" },
        "What the server keeps on its disk. A job that is paused because the disk is full can be resumed once there is room.",
      ),
    ),
    results.element,
    files.element,
  );

  function refresh() {
    files.refresh();
    results.refresh();
  }
  // What could not be loaded while the server was away.
  const end = onConnectionChanged(() => connection.state === "live" && refresh());
  refresh();
  return {
    element,
    focusTarget: title,
    destroy() {
      end();
      results.destroy();
    },
  };
}
