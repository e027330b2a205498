// target = std · N(0, 1), eight elements per thread, by the Box-Muller transform of
// counter-based bits (lib/rng.wgsl). The counter is the index of a quad in the padded matrix, so that
// ranges can be drawn separately. The padding of a row stays zero.
// @use bfloat16 | float32
// @use rng_normal, fours
override WORKGROUP_SIZE: u32;
override PADDED: bool;   // rows have padding

struct Params {
  octets: u32,        // of this range
  first_octet: u32,   // of this range, in the whole tensor
  row_quads: u32,
  columns: u32,
  deviation: f32,
  seed: u32,
  step: u32,
  tensor: u32,
}

@group(0) @binding(0) var<storage, read_write> target_values: array<Eight>;
@group(1) @binding(0) var<uniform> params: Params;

fn drawn(quad: u32, p: Params) -> vec4<f32> {
  let values = p.deviation * random_normal(p.seed, p.step, p.tensor, quad);
  if (!PADDED) { return values; }
  let column = 4u * (quad % p.row_quads);
  return select(vec4<f32>(0.0), values, four_from(column) < vec4<u32>(p.columns));
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  // First of all: a processor loads a parameter once for all threads only outside of branches.
  let p = params;
  if (id.x >= p.octets) { return; }
  let quad = 2u * (p.first_octet + id.x);
  target_values[id.x] = pack_eight(drawn(quad, p), drawn(quad + 1u, p));
}
