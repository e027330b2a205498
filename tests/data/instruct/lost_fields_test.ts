/** What a template does not write is found; what it writes is not, however it writes it. */
import { assertEquals } from "@std/assert";
import { join } from "@std/path";
import { ChatTemplate } from "../../../src/data/instruct/chat_template.ts";
import type { ChatExample, Message } from "../../../src/data/instruct/example.ts";
import { LossCheck } from "../../../src/data/instruct/lost_fields.ts";
import { findingLines, UnusableError } from "../../../src/data/instruct/report.ts";
import { InstructStream } from "../../../src/data/instruct/stream.ts";
import { chatTemplate } from "../../../src/data/instruct/templates.ts";
import { assertRefusesAsync } from "../../support_errors.ts";
import { withFiles } from "../support.ts";
import { DAY, golden, tokenizers, withTemplate } from "./support.ts";

const { specialTokens } = tokenizers.chat;

const turn = (body: string) => `{% for m in messages %}<{{ m.role }}>${body}\n{% endfor %}`;
const TEMPLATES = {
  plain: turn("{{ m.content }}"),
  trimmed: turn("{{ m.content | trim }}"),
  tools: "{% for t in tools or [] %}{{ t | tojson }}\n{% endfor %}" +
    turn(
      "{{ m.content or '' }}{% for c in m.tool_calls or [] %}{{ c.function | tojson }}{% endfor %}",
    ),
  toolNames: "{% for t in tools or [] %}{{ t.function.name }}\n{% endfor %}" +
    turn("{{ m.content }}"),
  callsOnly: turn(
    "{% if m.tool_calls %}{% for c in m.tool_calls %}{{ c.function | tojson }}{% endfor %}" +
      "{% else %}{{ m.content }}{% endif %}",
  ),
  // Writes no arguments.
  callNames: turn(
    "{{ m.content or '' }}{% for c in m.tool_calls or [] %}{{ c.function.name }}{% endfor %}",
  ),
  thoughts: turn(
    "{% if m.reasoning_content %}[{{ m.reasoning_content }}]{% endif %}{{ m.content }}",
  ),
  lastThoughts: turn(
    "{% if m.reasoning_content and loop.last %}[{{ m.reasoning_content }}]{% endif %}{{ m.content }}",
  ),
  cutting: turn("{{ m.content.split('</think>')[-1] }}"),
  noSystem:
    "{% for m in messages if m.role != 'system' %}<{{ m.role }}>{{ m.content }}{% endfor %}",
  noResults: "{% for m in messages if m.role != 'tool' %}<{{ m.role }}>{{ m.content }}{% endfor %}",
  // Says other things as soon as a text changes in any way.
  measuring:
    "{% for m in messages %}{{ m.content | length }}{% if m.role != 'tool' %}{{ m.content }}" +
    "{% endif %}{% endfor %}",
  comparing: turn(
    "{% if m.content == 'q' %}Q{% elif m.content == 'q2' %}Q2{% else %}{{ m.content }}{% endif %}",
  ),
  refusing: "{% for m in messages %}{% if m.role == 'assistant' and m.content not in ['r', ''] %}" +
    "{{ raise_exception('only r') }}{% endif %}<{{ m.role }}>{{ m.content }}{% endfor %}",
};

const user = { role: "user", content: "q" }, answer = { role: "assistant", content: "r" };
const CALL = { id: "c1", type: "function", function: { name: "f", arguments: { x: 1 } } };
const calling = { role: "assistant", content: "", tool_calls: [CALL] };
const result = { role: "tool", content: "4", tool_call_id: "c1", name: "f" };
const system = { role: "system", content: "s" };
const TOOL = {
  type: "function",
  function: { name: "f", description: "d", parameters: { type: "object", properties: { x: {} } } },
};
const thinking = { ...answer, reasoning_content: "hm" };
const thought = { ...answer, content: "<think>\nhm\n</think>\n\nr" };

type Case = [keyof typeof TEMPLATES, readonly Message[], string[], (readonly unknown[])?];
const CASES: Case[] = [
  ["plain", [system, user, answer], []],
  ["trimmed", [system, { ...user, content: " 🙂\n" }, { ...answer, content: "\n " }], []],
  ["plain", [user, calling], ["lostToolCalls"]],
  ["plain", [user, answer], ["lostTools"], [TOOL]],
  ["tools", [user, calling, result, answer], [], [TOOL]],
  ["tools", [user, calling, result, answer], [], [TOOL.function]],
  ["toolNames", [user, answer], ["lostToolDetails"], [TOOL]],
  ["callsOnly", [user, calling, result, answer], []],
  ["callsOnly", [user, { ...calling, content: "Let me see." }], ["lostContent"]],
  ["callNames", [user, calling], ["lostToolCalls"]],
  [
    "callNames",
    [user, { ...calling, tool_calls: [{ function: { name: "f", arguments: {} } }] }],
    [],
  ],
  ["plain", [user, thinking], ["lostThoughts"]],
  ["plain", [user, { ...thinking, weight: 0 }], []],
  ["thoughts", [user, thinking, user, thinking], []],
  ["lastThoughts", [user, thinking, user, thinking], ["cutThoughts"]],
  ["plain", [user, thought], []],
  ["cutting", [user, thought], ["cutThoughts"]],
  ["cutting", [user, { ...thought, weight: 0 }], []],
  ["cutting", [user, { ...thought, content: "<think>\n\n</think>\n\nr" }], []],
  // Templates that open the thought in the prompt get answers without the tag that opens it.
  ["cutting", [user, { ...thought, content: "hm</think>r" }], ["cutThoughts"]],
  ["noSystem", [system, user, answer], ["lostSystem"]],
  ["noResults", [user, answer, result, answer], ["lostToolResults"]],
  ["plain", [{ ...user, name: "Ann" }, answer], ["lostNames"]],
  ["plain", [user, answer, result], []],
  ["measuring", [system, user, answer], []],
  ["measuring", [user, answer, result], []], // its length is written
  ["comparing", [user, answer], []],
  ["comparing", [user, calling], ["lostToolCalls"]],
  ["refusing", [user, answer], []],
  ["refusing", [user, calling], ["lostToolCalls"]],
];

function lostIn(template: ChatTemplate, messages: readonly Message[], tools?: readonly unknown[]) {
  const example: ChatExample = { kind: "chat", messages, tools, where: "a:1" };
  return new LossCheck(template).lostIn(example, template.render(messages, "a:1", { tools }).text);
}

for (const [name, messages, expected, tools] of CASES) {
  const roles = messages.map(({ role }) => role).join(", ");
  Deno.test(`lost, template ${name}, ${roles}: ${expected.join(", ") || "nothing"}`, () => {
    const options = { name, specialTokens, now: DAY };
    assertEquals(lostIn(new ChatTemplate(TEMPLATES[name], options), messages, tools), expected);
  });
}

Deno.test("lost: nothing of plain dialogues, in any built-in or published template", () => {
  const plain = golden.dialogues.slice(0, 4);
  for (const { template, tokenizer, dialogue } of golden.rendered) {
    const messages = plain[dialogue];
    if (messages) assertEquals(lostIn(chatTemplate(template, tokenizers[tokenizer]), messages), []);
  }
  for (const { template: name, dialogue, tools } of golden.foreign) {
    const template = new ChatTemplate(golden.templates[name], { name, specialTokens, now: DAY });
    const messages = golden.dialogues[dialogue];
    const lost = lostIn(template, messages, tools).filter((kind) => kind !== "cutThoughts");
    // The one modelled on R1's first template has no system prompts.
    const isLost = name === "opened" && messages[0].content === "Speak as in a play.";
    assertEquals([name, lost], [name, isLost ? ["lostSystem"] : []]);
  }
});

Deno.test("examples with losses: all are counted before the run ends; the option leaves them out", async () => {
  const lines = [
    { messages: [user, answer], id: 1 },
    { messages: [user, calling, result, answer], tools: [TOOL] },
    { messages: [user, { ...answer, content: 5 }] },
    { messages: [system, system, user, answer] },
    { messages: [user, { ...answer, mood: "glad" }] },
    { messages: [user, calling] },
    { messages: [user, { ...calling, content: null }] },
    { messages: [user, calling], note: "x" },
  ];
  const source = "{% if messages | selectattr('role', 'equalto', 'system') | list | length > 1 %}" +
    "{{ raise_exception('one system') }}{% endif %}" + TEMPLATES.plain;
  const tokenizer = withTemplate(tokenizers.chat, source);
  await withFiles(
    { "a.jsonl": lines.map((each) => JSON.stringify(each)).join("\n") },
    async (folder) => {
      const options = {
        data: [folder],
        split: "train",
        tokenizer,
        batchSize: 1,
        seqLen: 200,
        heldOutShare: 0,
      } as const;
      const a = `${folder}/a.jsonl`;
      const lines = [
        `1 example with invalid fields:\n    ${a}:3: messages[1].content must be a string, got 5 (an integer)`,
        `1 example that the chat template refuses:\n    ${a}:4: the tokenizer's chat template, line 1: ` +
        "one system; the template refuses this dialogue",
        `1 example with tools that the chat template does not write (${a}:2)`,
        `4 examples with tool calls that the chat template does not write (${a}:2; ${a}:6; ${a}:7; and 1 more)`,
      ];
      await assertRefusesAsync(
        () => InstructStream.open(options),
        UnusableError,
        `6 of 8 examples would not be learned as written:\n  ${
          lines.join("\n  ")
        }\n  hint: choose ` +
          "another chat template with template: one that accepts these dialogues, one made for " +
          "tools; or leave these examples out with skipUnusable: true",
      );
      const { report } = await InstructStream.open({ ...options, skipUnusable: true });
      assertEquals([report.records, report.examples, report.unusable], [8, 2, 6]);
      assertEquals(findingLines(report), lines.map((line) => `left out: ${line}`));
      assertEquals(report.notes.slice(0, 2), [
        "fields ignored: id, note",
        "fields of messages that the chat template does not write: mood",
      ]);
      // Those of the other share are found too.
      await assertRefusesAsync(
        () => InstructStream.open({ ...options, heldOutShare: 0.9 }),
        UnusableError,
        "6 of 8 examples",
      );
      const { report: held } = await InstructStream.open({
        ...options,
        data: [join(folder, "a.jsonl")],
        split: "eval",
        heldOutShare: 0.9,
        skipUnusable: true,
      });
      assertEquals(held.examples + held.others + held.unusable, 8);
    },
  );
});
