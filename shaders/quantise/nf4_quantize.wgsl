// absmaxes[block] = max |source|, codes = nearest NF4 level to source / absmax, for each block of
// 64 consecutive elements of the padded matrix: the first level of QLoRA's quantisation (Dettmers
// et al. 2023), before the absolute maxima are quantised in turn (nf4_constants.wgsl).
//   A block of zeros gets the code of zero, as in bitsandbytes' PyTorch code; its CUDA kernel
// divides by zero there, and NaN gets the code of −1. LANES threads per block hold it
// (lanes_held.wgsl), or read it twice.
// @use lanes_held, fours
const BLOCK_OCTETS = 8u;

struct Params {
  octets: u32,        // of this range
  blocks: u32,        // in this range, and empty ones that pad `absmaxes`
  first_block: u32,   // of this range, in the whole tensor
}

@group(0) @binding(0) var<storage, read> source: array<mat2x4<f32>>;
@group(0) @binding(1) var<storage, read_write> codes: array<u32>;         // eight per word
@group(0) @binding(2) var<storage, read_write> absmaxes: array<f32>;      // (blocks), all
@group(1) @binding(0) var<uniform> params: Params;

fn above(values: vec4<f32>, middle: f32) -> vec4<u32> {
  return vec4<u32>(values > vec4<f32>(middle));
}

// A code is the number of bitsandbytes' midpoints between adjacent levels that lie below.
fn nearest_levels(x: vec4<f32>) -> vec4<u32> {
  return above(x, -0.8480964004993439) + above(x, -0.6106329262256622) +
    above(x, -0.4599952697753906) + above(x, -0.33967943489551544) +
    above(x, -0.23460740596055984) + above(x, -0.13791173323988914) +
    above(x, -0.045525018125772476) + above(x, 0.03979014977812767) +
    above(x, 0.1202552504837513) + above(x, 0.2035212516784668) +
    above(x, 0.2920137718319893) + above(x, 0.3893125355243683) +
    above(x, 0.5016634166240692) + above(x, 0.6427869200706482) + above(x, 0.8614784181118011);
}

fn word_of(values: mat2x4<f32>, scale: f32) -> u32 {
  let low = nearest_levels(values[0] * scale) << vec4<u32>(0u, 4u, 8u, 12u);
  let high = nearest_levels(values[1] * scale) << vec4<u32>(16u, 20u, 24u, 28u);
  let bits = low | high;
  return bits.x | bits.y | bits.z | bits.w;
}

fn with_largest(largest: vec4<f32>, values: mat2x4<f32>) -> vec4<f32> {
  return max(largest, max(abs(values[0]), abs(values[1])));
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(global_invocation_id) id: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let block = id.x / LANES;
  let lane = id.x % LANES;
  // A thread past the last block has no elements, but must still reach the barriers.
  let start = block * BLOCK_OCTETS;
  let end = select(start, min(start + BLOCK_OCTETS, params.octets), start < params.octets);

  var held: array<mat2x4<f32>, max(1u, HELD)>;
  // @unroll
  for (var k = 0u; k < HELD; k++) {
    let octet = start + k * LANES + lane;
    if (octet < end) { held[k] = source[octet]; }
  }
  var own = vec4<f32>(0.0);
  // @unroll
  for (var k = 0u; k < HELD; k++) { own = with_largest(own, held[k]); }
  if (!WHOLE) {
    for (var octet = start + HELD * LANES + lane; octet < end; octet += LANES) {
      own = with_largest(own, source[octet]);
    }
  }
  let absmax = lanes_max(vec2<f32>(largest_of(own)), local).x;

  // bitsandbytes multiplies by the inverse too. The floor is the smallest normal float: cards flush
  // smaller ones to zero, and their inverse times zero is NaN.
  let scale = 1.0 / max(absmax, 0x1p-126f);
  // @unroll
  for (var k = 0u; k < HELD; k++) {
    let octet = start + k * LANES + lane;
    if (octet < end) { codes[octet] = word_of(held[k], scale); }
  }
  if (!WHOLE) {
    for (var octet = start + HELD * LANES + lane; octet < end; octet += LANES) {
      codes[octet] = word_of(source[octet], scale);
    }
  }
  if (lane == 0u && block < params.blocks) { absmaxes[params.first_block + block] = absmax; }
}
