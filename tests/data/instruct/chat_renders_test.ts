import { assertEquals } from "@std/assert";
import { dialogues, exampleOf, golden, rendered, templates } from "./chat_renders.ts";

Deno.test("templates in the manner of the most used models: byte for byte as transformers", () => {
  assertEquals([templates.size, dialogues.length], [39, 17]);
  for (const [name, template] of templates) {
    dialogues.forEach((dialogue, index) => {
      [false, true].forEach((prompt, which) => {
        const text = rendered(template, exampleOf(dialogue), prompt);
        assertEquals(text, golden.renders[name][index][which], `${name}, ${dialogue.name}`);
      });
    });
  }
});

Deno.test("generation marks: the ranges that transformers has", () => {
  for (const [name, ranges] of Object.entries(golden.generated)) {
    ranges.forEach((expected, index) => {
      const { messages } = dialogues[index];
      let found: [number, number][] | null = null;
      try {
        const { text, generated } = templates.get(name)!.render(messages, "");
        const points = (end: number) => Array.from(text.slice(0, end)).length;
        found = generated.map(([start, end]) => [points(start), points(end)]);
      } catch {
        // Refused, as transformers should.
      }
      assertEquals(found, expected, `${name}, ${dialogues[index].name}`);
    });
  }
});
