// out = scale · √over / (max(√under, least) + eps): ratios of norms from sums of squares. Where `under`
// is zero the ratio is zero, whatever `least` and `eps` are.
override WORKGROUP_SIZE: u32;

struct Params {
  count: u32,
  inverse: u32,   // 1: one over the norm, whatever `over` is
  scale: f32,
  least: f32,
  eps: f32,
}

@group(0) @binding(0) var<storage, read> over: array<f32>;          // (count)
@group(0) @binding(1) var<storage, read> under: array<f32>;         // (count)
@group(0) @binding(2) var<storage, read_write> out: array<f32>;     // (count)
@group(1) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  // First of all: a processor loads a parameter once for all threads only outside of branches.
  let p = params;
  if (id.x >= p.count) { return; }
  let squares = under[id.x];
  let norm = max(sqrt(select(1.0, squares, squares > 0.0)), p.least) + p.eps;
  let ratio = p.scale * select(sqrt(over[id.x]), 1.0, p.inverse == 1u) / norm;
  out[id.x] = select(0.0, ratio, squares > 0.0);
}
