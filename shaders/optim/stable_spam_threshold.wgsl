// AdaClip's threshold (Huang et al. 2025, "Stable-SPAM", arXiv 2502.17055, section 3): the running mean
// of the largest magnitudes,
//   T = γ3·T + (1 − γ3)·largest      T̂ = T / (1 − γ3^t)
// state[0] is T; figures receive the largest and T̂. One workgroup.
override WORKGROUP_SIZE: u32;

struct Params {
  parts: u32,
  decay: f32,        // γ3
  fresh: f32,        // 1 − γ3, computed on the host, before rounding to float32
  correction: f32,   // 1 / (1 − γ3^t)
}

@group(0) @binding(0) var<storage, read> parts: array<f32>;
@group(0) @binding(1) var<storage, read_write> state: array<f32>;     // (3): T, and of stable_spam_norm
@group(0) @binding(2) var<storage, read_write> figures: array<f32>;   // (3): the largest, T̂, a sum
@group(1) @binding(0) var<uniform> params: Params;

var<workgroup> most: array<f32, WORKGROUP_SIZE>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(local_invocation_index) local: u32) {
  let p = params;
  var own = 0.0;
  for (var i = local; i < p.parts; i += WORKGROUP_SIZE) { own = max(own, parts[i]); }
  most[local] = own;
  workgroupBarrier();
  if (local != 0u) { return; }
  var largest = 0.0;
  for (var thread = 0u; thread < WORKGROUP_SIZE; thread++) { largest = max(largest, most[thread]); }
  let threshold = p.decay * state[0] + p.fresh * largest;
  state[0] = threshold;
  figures[0] = largest;
  figures[1] = p.correction * threshold;
}
