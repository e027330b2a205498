/**
 * Which buffers of a training step share memory: each slot holds what a phase needs, and nothing of
 * it is live in the slot's other phases.
 *
 *   slot      layers' MLP   attention's backward   head     refresh      update              load
 *   hidden    hidden                               logits                APOLLO's R          NF4's maxima
 *   dnormed   dnormed       dattention                      subspace.z   low-rank gradient,
 *                                                                        or APOLLO's Ω
 *   gate      gate          dquery
 *   up        up            dkey, dvalue
 *
 * R, the low-rank gradient, reuses the memory of dnormed and dattention, so weight gradients are
 * taken only when both are dead. APOLLO's is taken from a gradient that is whole, when hidden, its
 * factor, is dead as well. gate and up of a layer are dead after its MLP's backward pass, and
 * where they are recomputed one set serves all layers. dkey and dvalue are only ever written together.
 */
import type { Turn } from "../gpu/slots.ts";

const turn = (slot: string, phase: string): Turn => ({ slot, phase });

export const TURNS = {
  hidden: turn("hidden", "mlp"),
  logits: turn("hidden", "head"),
  subspace: turn("dnormed", "refresh"),
  lowRank: turn("dnormed", "update"),
  omega: turn("dnormed", "update"),
  apolloLowRank: turn("hidden", "update"),
  absmaxes: turn("hidden", "load"),
  dnormed: turn("dnormed", "mlp"),
  dattention: turn("dnormed", "attention"),
  gate: turn("gate", "mlp"),
  dquery: turn("gate", "attention"),
  up: turn("up", "mlp"),
  dkeyValue: turn("up", "attention"),
};

/** Not turns, but neighbours: gradients that are clipped together, in so many buffers. */
export const keptGradients = (buffer: number): Turn => turn(`kept_gradients.${buffer}`, "step");

/** Gradients of a layer that are exchanged before those of the next: in one buffer, group by group. */
export const groupGradients = (group: string): Turn => turn("group_gradients", group);
