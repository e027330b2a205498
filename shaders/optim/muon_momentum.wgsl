// Muon's momentum in float32, four elements per thread (Jordan et al. 2024; Nesterov's form, as in
// torch.optim.Muon):
//   m = m + (1 − μ)·(g − m),   update = m + (1 − μ)·(g − m)   with the new m
// m is overwritten, the gradient is read.
override WORKGROUP_SIZE: u32;

struct Params {
  quads: u32,
  fresh: f32,   // 1 − μ: computed on the host, before rounding to float32
}

@group(0) @binding(0) var<storage, read> gradient: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> momentum: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> update: array<vec4<f32>>;
@group(1) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (id.x >= params.quads) { return; }
  let g = gradient[id.x];
  let old = momentum[id.x];
  let m = old + params.fresh * (g - old);
  momentum[id.x] = m;
  update[id.x] = m + params.fresh * (g - m);
}
