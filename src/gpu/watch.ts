/** Watching a step as the GPU does it. */

/** What of a step can be watched: the layers of its two passes, and refreshes of subspaces. */
export type WatchedPart = "forward" | "backward" | "refresh";

/**
 * Called as the `index`-th of `count` layers or refreshes is recorded, from 1, in the order of the
 * part; returns what is called once the GPU has done it: with `more` of a layer that is seen only together
 * with the next one.
 */
export type Watch = (part: WatchedPart, index: number, count: number) => (more?: boolean) => void;
