// y (+)= x · mask / (1 − share), mask = 0 with a probability of `share`, else 1
//                                           (Srivastava et al. 2014, scaled while training)
//   x, y (N, C). The mask is not stored: it is drawn by index (lib/rng.wgsl), so that the backward
//   pass, the same kernel over the gradients with the same key, draws it again.
// The counter is the index of a quad in the padded matrix, so that ranges can be processed separately. Zero
// padding stays zero.
// @use bfloat16 | float32
// @use rng
override WORKGROUP_SIZE: u32;
override ACCUMULATE: bool;

struct Params {
  octets: u32,        // of this range
  first_octet: u32,   // of this range, in the whole tensor
  share: f32,
  scale: f32,        // 1 / (1 − share)
  seed: u32,          // salted: see src/kernels/salts.ts
  step: u32,
  tensor: u32,
}

@group(0) @binding(0) var<storage, read> x: array<Eight>;
@group(0) @binding(1) var<storage, read_write> y: array<Eight>;
@group(1) @binding(0) var<uniform> params: Params;

fn masked(values: vec4<f32>, quad: u32) -> vec4<f32> {
  let draws = random_uniform(params.seed, params.step, params.tensor, quad);
  return select(vec4<f32>(0.0), params.scale * values, draws >= vec4<f32>(params.share));
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let i = id.x;
  if (i >= params.octets) { return; }
  let values = x[i];
  let quad = 2u * (params.first_octet + i);
  var low = masked(unpack_low(values), quad);
  var high = masked(unpack_high(values), quad + 1u);
  if (ACCUMULATE) {
    let before = y[i];
    low += unpack_low(before);
    high += unpack_high(before);
  }
  y[i] = pack_eight(low, high);
}
