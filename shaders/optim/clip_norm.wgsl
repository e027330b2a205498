// x *= min(1, most / (norm + 1e-6)), norm = √squares[index], eight elements per thread: of x itself, or of
// all that is clipped with it. The factor of torch.nn.utils.clip_grad_norm_ (Pascanu et al. 2013,
// algorithm 1, has no 1e-6). Within the limit nothing is read or written.
override WORKGROUP_SIZE: u32;

struct Params {
  octets: u32,
  index: u32,   // of squares
  most: f32,
}

@group(0) @binding(0) var<storage, read_write> x: array<mat2x4<f32>>;
@group(0) @binding(1) var<storage, read> squares: array<f32>;
@group(1) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  // First of all: a processor loads a parameter once for all threads only outside of branches.
  let p = params;
  let factor = p.most / (sqrt(squares[p.index]) + 1e-6);
  if (factor >= 1.0 || id.x >= p.octets) { return; }
  x[id.x] = factor * x[id.x];
}
