/** SVG as PNG, with fonts of its own: a machine that trains has none, as a rule. */
import { initWasm, Resvg, resvgModule } from "../packages/resvg.ts";
import regular from "./font/inter_regular.txt" with { type: "text" };
import semibold from "./font/inter_semibold.txt" with { type: "text" };

let ready: Promise<Uint8Array[]> | undefined;

/** Twice as many pixels as the SVG's units. */
export async function pixels(svg: string): Promise<Uint8Array<ArrayBuffer>> {
  const fontBuffers = await (ready ??= open());
  const resvg = new Resvg(svg, {
    font: { fontBuffers, defaultFontFamily: "Inter", sansSerifFamily: "Inter" },
    fitTo: { mode: "zoom", value: 2 },
  });
  const image = resvg.render();
  try {
    return new Uint8Array(image.asPng());
  } finally {
    image.free();
    resvg.free();
  }
}

async function open(): Promise<Uint8Array[]> {
  await initWasm(resvgModule);
  // In base64, because a module can import text, and bytes only by an unstable feature.
  return [regular, semibold].map((text) => Uint8Array.fromBase64(text));
}
