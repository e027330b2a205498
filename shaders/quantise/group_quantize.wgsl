// codes, constants = quantise(source): for each group of consecutive elements of the padded matrix
//   scale = max(high − low, 1e-5) / levels,  zero = round(−low / scale),
//   code = round(source / scale) + zero, to nearest or stochastically, with the scale as stored
// as in Q-GaLore (Zhang et al. 2024), with a range that includes zero. LANES threads per group hold it
// (lanes_held.wgsl), or read it twice, for its extent and then for its codes.
// @use group_store_int8 | group_store_int4
// @use bfloat16 | float32
// @use rng, lanes_held
override STOCHASTIC: bool;   // a constant: a processor takes both branches of a parameter

struct Params {
  octets: u32,          // of this range
  first_octet: u32,     // index of the first octet in the whole tensor; starts a group
  group_octets: u32,
  groups: u32,          // of this range
  seed: u32,
  step: u32,
  tensor: u32,
}

@group(0) @binding(0) var<storage, read> source: array<Eight>;
@group(0) @binding(1) var<storage, read_write> codes: array<Codes>;
@group(0) @binding(2) var<storage, read_write> constants: array<u32>;   // (groups), all
@group(1) @binding(0) var<uniform> params: Params;

fn values_of(octet: u32) -> Octet {
  let values = source[octet];
  return Octet(unpack_low(values), unpack_high(values));
}

fn encode(octet: u32, values: Octet, by: Constants, p: Params) {
  if (STOCHASTIC) {
    let draws = rounding_draws(p.seed, p.step, p.tensor, p.first_octet + octet);
    store_codes(octet, encode_stochastic(values, by, draws));
  } else {
    store_codes(octet, encode_nearest(values, by));
  }
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(global_invocation_id) id: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  // Once: a processor would load a parameter again in every iteration, since it may alias a store.
  let p = params;
  let group = id.x / LANES;
  let lane = id.x % LANES;
  // A thread past the last group has no elements, but must still reach the barriers.
  let start = group * p.group_octets;
  let end = select(0u, min(start + p.group_octets, p.octets), group < p.groups);

  var held: array<Octet, max(1u, HELD)>;
  // @unroll
  for (var k = 0u; k < HELD; k++) {
    let octet = start + k * LANES + lane;
    if (octet < end) { held[k] = values_of(octet); }
  }
  // The range of a group includes zero, so that octets which it lacks may count as zeros.
  var extent = Extent(0.0, 0.0);
  // @unroll
  for (var k = 0u; k < HELD; k++) { extent = extent_with(extent, held[k]); }
  if (!WHOLE) {
    for (var octet = start + HELD * LANES + lane; octet < end; octet += LANES) {
      extent = extent_with(extent, values_of(octet));
    }
  }
  let maxima = lanes_max(vec2<f32>(-extent.low, extent.high), local);
  let word = group_constants(Extent(0.0 - maxima.x, maxima.y));
  let by = constants_in(word);

  // @unroll
  for (var k = 0u; k < HELD; k++) {
    let octet = start + k * LANES + lane;
    if (octet < end) { encode(octet, held[k], by, p); }
  }
  if (!WHOLE) {
    for (var octet = start + HELD * LANES + lane; octet < end; octet += LANES) {
      encode(octet, values_of(octet), by, p);
    }
  }
  if (lane == 0u && group < p.groups) {
    constants[p.first_octet / p.group_octets + group] = word;
  }
}
