/** The part of vega that is used here; its own declarations take seconds to check. */
export function parse(spec: object): object;
export class View {
  constructor(runtime: object, options: { readonly renderer: "none" });
  toSVG(): Promise<string>;
  finalize(): void;
}
