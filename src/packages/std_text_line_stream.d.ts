/** Types of what is used of `@std/streams`; see std_path.d.ts. */

/** Text in pieces to lines, without their ends. */
export declare class TextLineStream extends TransformStream<string, string> {}
