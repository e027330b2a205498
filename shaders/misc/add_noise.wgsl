// y += bound · (2u − 1), u uniform in [0, 1)           (NEFTune: Jain et al. 2023, algorithm 1)
//   y (N, C) in place. Drawn by index (lib/rng.wgsl): the same key draws the same noise again.
// The counter is the index of a quad in the padded matrix, so that ranges can be processed separately.
// @use bfloat16 | float32
// @use rng
override WORKGROUP_SIZE: u32;

struct Params {
  octets: u32,        // of this range
  first_octet: u32,   // of this range, in the whole tensor
  row_octets: u32,    // row stride, in octets
  columns: u32,       // C: padding stays zero
  bound: f32,
  seed: u32,          // salted: see src/kernels/salts.ts
  step: u32,
  tensor: u32,
}

@group(0) @binding(0) var<storage, read_write> y: array<Eight>;
@group(1) @binding(0) var<uniform> params: Params;

fn noise(quad: u32, column: u32) -> vec4<f32> {
  let draws = random_uniform(params.seed, params.step, params.tensor, quad);
  let columns = vec4<u32>(column) + vec4<u32>(0u, 1u, 2u, 3u);
  return select(
    vec4<f32>(0.0), params.bound * (2.0 * draws - 1.0), columns < vec4<u32>(params.columns),
  );
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let i = id.x;
  if (i >= params.octets) { return; }
  let octet = params.first_octet + i;
  let column = 8u * (octet % params.row_octets);
  let values = y[i];
  y[i] = pack_eight(
    unpack_low(values) + noise(2u * octet, column),
    unpack_high(values) + noise(2u * octet + 1u, column + 4u),
  );
}
