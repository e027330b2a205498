// delta = rowsum(dout · out), which every gradient of attention needs
//                                                         (Dao 2023, "FlashAttention-2", alg. 2)
// Writes a pair (delta, logsumexp) for every query and head: interleaved, both need one binding,
// and the tiled kernels stay within the eight storage buffers that every adapter allows.
// @use bfloat16 | float32
override WORKGROUP_SIZE: u32;

struct Params {
  count: u32,       // rows · H
  heads: u32,       // H
  head_quads: u32,  // D / 4
  quads: u32,       // row stride of out and dout, in quads
  lse_stride: u32,
  pair_stride: u32, // row stride of delta, in pairs
}

@group(0) @binding(0) var<storage, read> out: array<Quad>;                  // (N, H·D)
@group(0) @binding(1) var<storage, read> dout: array<Quad>;                 // (N, H·D)
@group(0) @binding(2) var<storage, read> logsumexp: array<f32>;             // (N, H)
@group(0) @binding(3) var<storage, read_write> delta: array<vec2<f32>>;     // (N, H) pairs
@group(1) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (id.x >= params.count) { return; }
  let row = id.x / params.heads;
  let head = id.x % params.heads;
  let at = row * params.quads + head * params.head_quads;
  var sums = vec4<f32>(0.0);
  for (var d = 0u; d < params.head_quads; d++) {
    sums += unpack(out[at + d]) * unpack(dout[at + d]);
  }
  delta[row * params.pair_stride + head] =
    vec2<f32>(sums.x + sums.y + sums.z + sums.w, logsumexp[row * params.lse_stride + head]);
}
