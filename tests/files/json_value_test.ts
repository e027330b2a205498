import { assert, assertEquals, assertInstanceOf, assertThrows } from "@std/assert";
import {
  entriesOf,
  JsonNumber,
  objectOf,
  parseJson,
  stringifyJson,
} from "../../src/files/json_value.ts";
import cases from "../fixtures/json_values.json" with { type: "json" };

Deno.test("parseJson, stringifyJson: texts come back as Python's json module writes them", () => {
  for (const [text, expected] of cases) assertEquals(stringifyJson(parseJson(text)), expected);
  assert(cases.length > 200);
});

Deno.test("parseJson: a number is a number where String spells it as the text does", () => {
  assertEquals(parseJson('{"a": 1, "b": 0.5, "c": -3}'), { a: 1, b: 0.5, c: -3 });
  for (const source of ["1.0", "1e5", "1E-7", "-0", "12345678901234567890", "0.10"]) {
    const value = parseJson(` ${source}\n`);
    assertInstanceOf(value, JsonNumber);
    assertEquals([value.source, +value], [source, Number(source)]);
  }
});

Deno.test("parseJson: records without such numbers and keys are JSON.parse's", () => {
  const text = '{"messages": [{"role": "user", "content": "costs 3.5, or \\"1\\": 2.0"}]}';
  assertEquals(parseJson(text), JSON.parse(text));
  assertEquals(parseJson('{"__proto__": {"1": 2}}'), JSON.parse('{"__proto__": {"1": 2}}'));
  assertThrows(() => parseJson('{"a": 1.0,}'), SyntaxError);
});

Deno.test("entriesOf: keys that look like integers stay in place; duplicates keep the last value", () => {
  const object = parseJson('{"b": 1, "2": {"x": 1, "1": 2}, "1": 3, "b": 4}');
  assertEquals(entriesOf(object as Record<string, unknown>), [
    ["b", 4],
    ["2", { x: 1, "1": 2 }],
    ["1", 3],
  ]);
  assertEquals(stringifyJson(object), '{"b":4,"2":{"x":1,"1":2},"1":3}');
  // A changed copy does not keep an order that no longer describes it.
  assertEquals(entriesOf({ ...(object as Record<string, unknown>), c: 0 }).length, 4);
  assertEquals(entriesOf(objectOf([["10", 1], ["9", 2]])), [["10", 1], ["9", 2]]);
});

Deno.test("stringifyJson: takes what Parquet files hold", () => {
  assertEquals(
    stringifyJson({ id: 2n ** 63n, at: new Date(0), none: undefined, list: [undefined, 1n] }),
    '{"id":9223372036854775808,"at":"1970-01-01T00:00:00.000Z","list":[null,1]}',
  );
});
