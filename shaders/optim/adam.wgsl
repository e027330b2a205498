// Adam's step with float32 moments, four elements per thread (Kingma & Ba 2015, algorithm 1):
//   m = β1·m + (1 − β1)·g,   v = β2·v + (1 − β2)·g²
//   g ← −lr · m̂ / (√v̂ + ε),   m̂ = m / (1 − β1^t),   v̂ = v / (1 − β2^t)
// with bias correction folded into two factors, as in bitsandbytes:
//   g ← −step_size · m / (√v + eps),  step_size = lr·√(1 − β2^t) / (1 − β1^t),  eps = ε·√(1 − β2^t)
// m, v and the gradient are overwritten; the gradient becomes the update.
// @use fours
override WORKGROUP_SIZE: u32;

struct Params {
  quads: u32,
  beta1: f32,
  beta2: f32,
  fresh1: f32,      // 1 − β1, and 1 − β2: computed on the host, before rounding to float32
  fresh2: f32,
  step_size: f32,
  eps: f32,
}

@group(0) @binding(0) var<storage, read_write> gradient: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> m: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> v: array<vec4<f32>>;
@group(1) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  // First of all: a processor loads a parameter once for all threads only outside of branches.
  let p = params;
  if (id.x >= p.quads) { return; }
  let g = gradient[id.x];
  let first = p.beta1 * m[id.x] + p.fresh1 * g;
  let second = p.beta2 * v[id.x] + p.fresh2 * g * g;
  m[id.x] = select(first, vec4<f32>(0.0), abs(first) < vec4<f32>(LEAST));
  v[id.x] = select(second, vec4<f32>(0.0), second < vec4<f32>(LEAST));
  gradient[id.x] = -p.step_size * first / (sqrt(second) + p.eps);
}
