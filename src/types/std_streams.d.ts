declare module "@std/streams/text-line-stream" {
  /** Text in pieces to lines, without their ends. */
  export class TextLineStream extends TransformStream<string, string> {}
}
