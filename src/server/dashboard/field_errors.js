/** Errors at the fields of a form, by where they come from: each is cleared without the others. */

/**
 * @typedef {"plan" | "start"} Source
 *
 * @typedef {object} Field
 * @property {HTMLElement} input
 * @property {(message: string) => void} setError
 */

/** @param {(name: string) => Field | undefined} fieldOf */
export function createFieldErrors(fieldOf) {
  /** @type {Record<Source, Set<Field>>} */
  const faulty = { plan: new Set(), start: new Set() };
  return {
    /** @param {Source} source */
    clear(source) {
      const fields = [...faulty[source]];
      faulty[source].clear();
      for (const field of fields) {
        // Unless the other source says something of the same field.
        if (!Object.values(faulty).some((others) => others.has(field))) field.setError("");
      }
    },
    /**
     * Shows an error at the field that it names; returns the field's control, if there is one.
     *
     * @param {Source} source
     * @param {{ param?: string, message: string }} error
     */
    show(source, { param = "", message }) {
      const field = fieldOf(param.split(".").at(-1) ?? "");
      if (!field) return undefined;
      faulty[source].add(field);
      field.setError(message.startsWith(`${param}: `) ? message.slice(param.length + 2) : message);
      for (
        let at = field.input.closest("details");
        at;
        at = at.parentElement?.closest("details") ?? null
      ) {
        at.open = true;
      }
      return field.input;
    },
  };
}
