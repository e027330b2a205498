/** Statements: reads a whole template. */
import { TemplateSyntaxError } from "./errors.ts";
import { tokenize } from "./lexer.ts";
import type { Expression, Signature, Statement, Target } from "./nodes.ts";
import {
  parseExpression,
  parseFilter,
  parseOr,
  parsePrimary,
  parseTuple,
} from "./parse_expression.ts";
import { TokenStream } from "./token_stream.ts";

/** Throws a {@link TemplateSyntaxError}. */
export function parse(source: string): Statement[] {
  return new Parser(new TokenStream(tokenize(source))).template();
}

class Parser {
  /** Tags that are open, for messages. */
  readonly #open: { name: string; line: number }[] = [];
  #loops = 0;

  constructor(private readonly stream: TokenStream) {}

  template(): Statement[] {
    return this.#statements([]);
  }

  /** Statements up to a tag with one of the names, which stays the current token. */
  #statements(ends: readonly string[]): Statement[] {
    const { stream } = this, body: Statement[] = [];
    for (;;) {
      const token = stream.next(), { line } = token;
      switch (token.type) {
        case "data":
          body.push({ kind: "text", text: token.text, line });
          break;
        case "variable_begin":
          body.push({ kind: "print", value: parseTuple(stream, parseExpression), line });
          stream.expect("variable_end");
          break;
        case "block_begin":
          if (stream.is("name") && ends.includes(stream.current.text)) return body;
          body.push(...this.#statement());
          stream.expect("block_end");
          break;
        default:
          if (ends.length === 0) return body;
          this.#unclosed();
      }
    }
  }

  #unclosed(): never {
    const { name, line } = this.#open.at(-1)!;
    throw new TemplateSyntaxError(
      `Unexpected end of template: '${name}' of line ${line} is not closed`,
      line,
    );
  }

  /** The body of a tag up to its end; returns the name of the end, which is taken. */
  #body(...ends: string[]): [body: Statement[], end: string] {
    this.stream.skipOperator(":");
    this.stream.expect("block_end");
    const body = this.#statements(ends);
    return [body, this.stream.next().text];
  }

  #statement(): Statement[] {
    const { stream } = this, { type, text: name, line } = stream.current;
    if (type !== "name") stream.fail("tag name expected");
    stream.next();
    this.#open.push({ name, line });
    try {
      return this.#tag(name, line);
    } finally {
      this.#open.pop();
    }
  }

  #tag(name: string, line: number): Statement[] {
    const stream: TokenStream = this.stream;
    switch (name) {
      case "if":
        return [this.#if(line)];
      case "for":
        return [this.#for(line)];
      case "set":
        return [this.#set(line)];
      case "macro": {
        const macro = stream.expect("name").text, signature = this.#signature();
        return [{ kind: "macro", name: macro, signature, body: this.#apart("endmacro"), line }];
      }
      case "call": {
        const signature = stream.isOperator("(") ? this.#signature() : NO_PARAMETERS;
        const call = parseExpression(stream);
        if (call.kind !== "call") stream.fail("expected call", line);
        return [{ kind: "call_block", call, signature, body: this.#apart("endcall"), line }];
      }
      case "filter": {
        const filter = this.#filters(parseFilter(stream, undefined));
        return [{ kind: "filter_block", filter, body: this.#body("endfilter")[0], line }];
      }
      case "with":
        return [this.#with(line)];
      case "print": {
        const printed: Statement[] = [];
        while (!stream.is("block_end")) {
          if (printed.length > 0) stream.expect("operator", ",");
          printed.push({ kind: "print", value: parseExpression(stream), line });
        }
        return printed;
      }
      case "generation":
        return [{ kind: "generation", body: this.#apart("endgeneration"), line }];
      case "block": {
        const block = stream.expect("name").text;
        stream.skipName("scoped");
        const body = this.#apart("endblock");
        stream.skipName(block);
        return [{ kind: "block", body, line }];
      }
      case "break":
      case "continue":
        if (this.#loops === 0) stream.fail(`'${name}' outside of a loop`, line);
        return [{ kind: name, line }];
      case "include":
      case "import":
      case "from":
      case "extends":
      case "autoescape":
        stream.fail(`'${name}' has no place in a chat template`, line);
    }
    const inside = this.#open.at(-2);
    stream.fail(
      `Encountered unknown tag '${name}'` + (inside ? `; '${inside.name}' is still open` : ""),
      line,
    );
  }

  /** A body that loops outside of it cannot be left from. */
  #apart(end: string): Statement[] {
    const loops = this.#loops;
    this.#loops = 0;
    const [body] = this.#body(end);
    this.#loops = loops;
    return body;
  }

  #if(line: number): Statement {
    const branches: [Expression, Statement[]][] = [];
    for (;;) {
      const test = parseTuple(this.stream, parseOr);
      const [body, end] = this.#body("elif", "else", "endif");
      branches.push([test, body]);
      if (end === "elif") continue;
      const otherwise = end === "else" ? this.#body("endif")[0] : [];
      return { kind: "if", branches, otherwise, line };
    }
  }

  #for(line: number): Statement {
    const { stream } = this;
    const target = this.#target(() => stream.isName("in"));
    stream.expect("name", "in");
    const iterable = parseTuple(stream, parseOr, { end: () => stream.isName("recursive") });
    const test = stream.skipName("if") ? parseExpression(stream) : undefined;
    const recursive = stream.skipName("recursive");
    this.#loops++;
    const [body, end] = this.#body("endfor", "else");
    this.#loops--;
    const otherwise = end === "else" ? this.#body("endfor")[0] : [];
    return { kind: "for", target, iterable, test, recursive, body, otherwise, line };
  }

  #set(line: number): Statement {
    const { stream } = this, target = this.#target(() => false, true);
    if (stream.skipOperator("=")) {
      return { kind: "set", target, value: parseTuple(stream, parseExpression), line };
    }
    const filter = stream.skipOperator("|")
      ? this.#filters(parseFilter(stream, undefined))
      : undefined;
    return { kind: "set_block", target, filter, body: this.#body("endset")[0], line };
  }

  #filters(filter: Expression): Expression {
    while (this.stream.skipOperator("|")) filter = parseFilter(this.stream, filter);
    return filter;
  }

  #with(line: number): Statement {
    const { stream } = this, targets: [Target, Expression][] = [];
    while (!stream.is("block_end")) {
      if (targets.length > 0) stream.expect("operator", ",");
      const target = this.#target(() => stream.isOperator("="));
      stream.expect("operator", "=");
      targets.push([target, parseExpression(stream)]);
    }
    return { kind: "with", targets, body: this.#body("endwith")[0], line };
  }

  #signature(): Signature {
    const { stream } = this, names: string[] = [], defaults: Expression[] = [];
    stream.expect("operator", "(");
    while (!stream.isOperator(")")) {
      if (names.length > 0) stream.expect("operator", ",");
      names.push(stream.expect("name").text);
      if (stream.skipOperator("=")) defaults.push(parseExpression(stream));
      else if (defaults.length > 0) stream.fail("non-default argument follows default argument");
    }
    stream.expect("operator", ")");
    return { names, defaults };
  }

  #target(end: () => boolean, mayBeAttribute = false): Target {
    const { stream } = this;
    const one = (): Expression => {
      const value = parsePrimary(stream);
      if (!mayBeAttribute || value.kind !== "name" || !stream.skipOperator(".")) return value;
      return {
        kind: "attribute",
        object: value,
        name: stream.expect("name").text,
        line: value.line,
      };
    };
    return this.#asTarget(parseTuple(stream, one, { end: () => end() || stream.isOperator("=") }));
  }

  #asTarget(value: Expression): Target {
    if (value.kind === "tuple") {
      return { kind: "tuple", items: value.items.map((each) => this.#asTarget(each)) };
    }
    if (value.kind === "name") return { kind: "name", name: value.name };
    if (value.kind === "attribute" && value.object.kind === "name") {
      return { kind: "namespace", name: value.object.name, attribute: value.name };
    }
    this.stream.fail(`can't assign to '${value.kind}'`, value.line);
  }
}

const NO_PARAMETERS: Signature = { names: [], defaults: [] };
