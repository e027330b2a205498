// AdaGN's factor (Huang et al. 2025, "Stable-SPAM", arXiv 2502.17055, section 3): the norm of a
// gradient becomes the ratio of running moments of the norms of all until now,
//   μ = γ1·μ + (1 − γ1)·norm,  ν = γ2·ν + (1 − γ2)·norm²,  norm = √figures[2], after AdaClip
//   factor = μ̂ / (√ν̂ + ε) / norm,  μ̂ = μ / (1 − γ1^t),  ν̂ = ν / (1 − γ2^t)
// and 1 for a gradient of zeros.
struct Params {
  decay1: f32,        // γ1
  fresh1: f32,        // 1 − γ1
  correction1: f32,   // 1 / (1 − γ1^t)
  decay2: f32,
  fresh2: f32,
  correction2: f32,
  eps: f32,
}

@group(0) @binding(0) var<storage, read> figures: array<f32>;
@group(0) @binding(1) var<storage, read_write> state: array<f32>;    // (3): μ and ν are the last two
@group(0) @binding(2) var<storage, read_write> factor: array<f32>;   // (1)
@group(1) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(1)
fn main() {
  let p = params;
  let squares = figures[2];
  let norm = sqrt(squares);
  let first = p.decay1 * state[1] + p.fresh1 * norm;
  let second = p.decay2 * state[2] + p.fresh2 * squares;
  state[1] = first;
  state[2] = second;
  let wanted = p.correction1 * first / (sqrt(p.correction2 * second) + p.eps);
  let divisor = select(1.0, norm, norm > 0.0);
  factor[0] = select(1.0, wanted / divisor, norm > 0.0);
}
