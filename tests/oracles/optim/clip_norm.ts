/** The factor of torch.nn.utils.clip_grad_norm_ for a norm, in float64. */
export function clipFactor(norm: number, most: number): number {
  return Math.min(1, most / (norm + 1e-6));
}
