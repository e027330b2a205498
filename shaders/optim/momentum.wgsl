// Momentum in float32, eight elements per thread: a moving average, and the update from it (Nesterov's
// form, as in torch.optim.Muon, with ahead = 1 − μ; with ahead = 0 the average itself):
//   m = m + (1 − μ)·(g − m),   update = m + ahead·(g − m)   with the new m
// m is overwritten; the update may take the gradient's place.
// @use update_apart | update_in_place
override WORKGROUP_SIZE: u32;

struct Params {
  octets: u32,
  fresh: f32,   // 1 − μ: computed on the host, before rounding to float32
  ahead: f32,
}

@group(0) @binding(1) var<storage, read_write> momentum: array<mat2x4<f32>>;
@group(1) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (id.x >= params.octets) { return; }
  let g = incoming(id.x);
  let old = momentum[id.x];
  let m = old + params.fresh * (g - old);
  momentum[id.x] = m;
  update[id.x] = m + params.ahead * (g - m);
}
