/**
 * What ranks exchange in a step where each keeps only a share of the optimizer states (optim/shares.ts):
 * the sum of a gradient goes to its keeper alone, and what that makes of it goes to all others.
 */
import type { Gpu } from "../gpu/gpu.ts";
import { givenOf } from "../optim/shares.ts";
import { PIECE_BYTES, type Ranks } from "../parallel/ranks.ts";
import type { Training } from "./build.ts";
import { bytesOf, inPieces, type Part, Passage, whole } from "./pieces.ts";

/** A part that is one rank's. */
interface SharedPart extends Part {
  readonly keeper: number;
}

export class ShareExchange {
  readonly #passage: Passage;

  constructor(
    private readonly gpu: Gpu,
    private readonly training: Training,
    private readonly ranks: Ranks,
  ) {
    this.#passage = new Passage(gpu);
  }

  /** Replaces the own share of a step's gradients by their sums, unless all ranks have these. */
  async sum(): Promise<void> {
    const { ranks } = this, { rank, size } = ranks;
    await this.#passage.pass(inRounds(gradientParts(this.training), size), {
      reads: () => true,
      writes: ({ keeper }) => keeper === rank,
      exchange: (bytes, piece) => {
        const values = new Float32Array(bytes.buffer, 0, bytes.length / 4);
        return ranks.sumShares(values, lengthsOf(piece, size).map((length) => length / 4));
      },
    });
  }

  /** Once the own share is applied: gives it to the others, and takes theirs. */
  async give(): Promise<void> {
    const { ranks } = this, { rank, size } = ranks;
    await this.#passage.pass(inRounds(givenParts(this.training), size), {
      reads: ({ keeper }) => keeper === rank,
      writes: ({ keeper }) => keeper !== rank,
      exchange: (bytes, piece) => ranks.collectShares(bytes, lengthsOf(piece, size)),
    });
    await this.#giveSimilarities();
  }

  /** Those of refreshes from whole gradients, which only keepers do. */
  async #giveSimilarities(): Promise<void> {
    const { optimizer: { states, refreshes, scratch: { similarities } } } = this.training;
    const due = states.filter(({ fira, projector }) => fira && refreshes.isDue(projector!));
    if (!due.length) return;
    const values = new Float32Array(similarities.byteLength / 4);
    await this.gpu.readInto(similarities, new Uint8Array(values.buffer));
    for (const { projector, elsewhere } of states) {
      if (projector && elsewhere) values[refreshes.projectors.indexOf(projector)] = 0;
    }
    await this.ranks.sum(values);
    this.gpu.write(similarities, values);
  }
}

/** The gradients of which only a keeper has the sum: none where they are clipped by the norm of all. */
function gradientParts({ optimizer: { accumulated, clipping } }: Training): SharedPart[] {
  if (clipping) return [];
  return accumulated.map(({ gradient, keeper }) => ({ ...whole(gradient), keeper: keeper! }));
}

function givenParts({ optimizer: { states } }: Training): SharedPart[] {
  return states.flatMap((state) =>
    givenOf(state).tensors.map((tensor) => ({ ...whole(tensor), keeper: state.keeper! }))
  );
}

/** Pieces of as many bytes of each rank's as fit, side by side by rank. */
function inRounds(parts: readonly SharedPart[], size: number): SharedPart[][] {
  const most = Math.floor(PIECE_BYTES / size / 4) * 4;
  const shares = Array.from(
    { length: size },
    (_, rank) => inPieces(parts.filter(({ keeper }) => keeper === rank), most),
  );
  const rounds = Math.max(...shares.map(({ length }) => length));
  return Array.from({ length: rounds }, (_, round) => shares.flatMap((own) => own[round] ?? []));
}

/** Bytes of each rank's share of a piece. */
function lengthsOf(piece: readonly SharedPart[], size: number): number[] {
  return Array.from(
    { length: size },
    (_, rank) => bytesOf(piece.filter(({ keeper }) => keeper === rank)),
  );
}

/** Bytes that a rank sends in a step for gradients and updates. Also in a plan. */
export function sharedBytesPerStep(training: Training, size: number, rank: number): number {
  const gradients = bytesOf(gradientParts(training).filter(({ keeper }) => keeper !== rank));
  const given = bytesOf(givenParts(training).filter(({ keeper }) => keeper === rank));
  return gradients + (size - 1) * given;
}
