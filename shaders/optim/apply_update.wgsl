// weight = decay · weight + update, eight elements per thread, for weights in float32 or bfloat16.
// A bfloat16 has 8 significant bits: most updates are smaller than half a step of their weight and
// vanish when rounding to nearest. Stochastic rounding preserves them in expectation.
// @use bfloat16 | float32
// @use rng
override WORKGROUP_SIZE: u32;
override STOCHASTIC: bool;   // for bfloat16 only

struct Params {
  octets: u32,        // of this range
  first_octet: u32,   // of this range, in the whole tensor
  decay: f32,
  seed: u32,
  step: u32,
  tensor: u32,
}

@group(0) @binding(0) var<storage, read_write> weight: array<Eight>;
@group(0) @binding(1) var<storage, read> update: array<mat2x4<f32>>;
@group(1) @binding(0) var<uniform> params: Params;

// Adds 16 random bits below the 16 that bfloat16 keeps, then truncates: the result is the upper
// neighbour with a probability equal to the fraction, and pack() has nothing left to round.
// Infinities and NaN are unchanged.
fn rounded(values: vec4<f32>, quad: u32, p: Params) -> vec4<f32> {
  let bits = bitcast<vec4<u32>>(values);
  let draws = random_bits(p.seed, p.step, p.tensor, quad) >> vec4<u32>(16u);
  let finite = (bits & vec4<u32>(0x7f800000u)) != vec4<u32>(0x7f800000u);
  return bitcast<vec4<f32>>(select(bits, (bits + draws) & vec4<u32>(0xffff0000u), finite));
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  // First of all: a processor loads a parameter once for all threads only outside of branches.
  let p = params;
  if (id.x >= p.octets) { return; }
  let old = weight[id.x];
  let change = update[id.x];
  var low = p.decay * unpack_low(old) + change[0];
  var high = p.decay * unpack_high(old) + change[1];
  if (STOCHASTIC) {
    let quad = 2u * (p.first_octet + id.x);
    low = rounded(low, quad, p);
    high = rounded(high, quad + 1u, p);
  }
  weight[id.x] = pack_eight(low, high);
}
