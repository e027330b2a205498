/** Tokens, and what the next must be. */
import { TemplateSyntaxError } from "./errors.ts";
import type { Token, TokenType } from "./lexer.ts";

export class TokenStream {
  #at = 0;

  constructor(private readonly tokens: readonly Token[]) {}

  get current(): Token {
    return this.tokens[this.#at];
  }

  /** The token after the current one. */
  get following(): Token {
    return this.tokens[Math.min(this.#at + 1, this.tokens.length - 1)];
  }

  next(): Token {
    const token = this.current;
    if (token.type !== "end") this.#at++;
    return token;
  }

  is(type: TokenType, text?: string): boolean {
    return this.current.type === type && (text === undefined || this.current.text === text);
  }

  isOperator(text: string): boolean {
    return this.is("operator", text);
  }

  isName(text: string): boolean {
    return this.is("name", text);
  }

  /** Whether it was there and has been passed over. */
  skip(type: TokenType, text?: string): boolean {
    if (!this.is(type, text)) return false;
    this.next();
    return true;
  }

  skipOperator(text: string): boolean {
    return this.skip("operator", text);
  }

  skipName(text: string): boolean {
    return this.skip("name", text);
  }

  expect(type: TokenType, text?: string): Token {
    if (this.is(type, text)) return this.next();
    const expected = text ?? EXPECTED[type] ?? type;
    if (this.current.type === "end") {
      this.fail(`unexpected end of template, expected '${expected}'`);
    }
    this.fail(`expected '${expected}', got '${this.current.text}'`);
  }

  fail(message: string, line = this.current.line): never {
    throw new TemplateSyntaxError(message, line);
  }
}

const EXPECTED: Partial<Record<TokenType, string>> = { variable_end: "}}", block_end: "%}" };
