/** The view of a new job: its form, which keeps what was entered while the page is open. */
import { createJobForm } from "./job_form.js";

/**
 * Forms by the job that they copy, until their own job is started.
 *
 * @type {Map<string | null, ReturnType<typeof createJobForm>>}
 */
const drafts = new Map();

/** @param {string | null} from the job to copy values from */
export function createNewJob(from) {
  const form = drafts.get(from) ?? createJobForm(from, () => {
    drafts.delete(from);
    form.end();
  });
  drafts.set(from, form);
  form.refresh();
  return { element: form.element, focusTarget: form.focusTarget, destroy() {} };
}
