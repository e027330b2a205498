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
  /** @type {Map<Source, Field>} */
  const faulty = new Map();
  return {
    /** @param {Source} source */
    clear(source) {
      const field = faulty.get(source);
      faulty.delete(source);
      // Unless the other source says something of the same field.
      if (field && ![...faulty.values()].includes(field)) field.setError("");
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
      faulty.set(source, field);
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
