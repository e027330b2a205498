// weight = requantise(decay · dequantise(weight) + update), group by group, in one pass over the
// codes: no float copy of the weight exists (Q-GaLore, Zhang et al. 2024, algorithm 1). Each group
// gets a new scale and zero point. LANES threads per group hold its new values (lanes_held.wgsl), or
// compute them twice, for their extent and then for their codes.
// @use group_store_int8 | group_store_int4
// @use rng, lanes_held
override STOCHASTIC: bool;   // a constant: a processor takes both branches of a parameter

struct Params {
  octets: u32,          // of this range
  first_octet: u32,     // index of the first octet in the whole tensor; starts a group
  group_octets: u32,
  groups: u32,          // of this range
  decay: f32,
  seed: u32,
  step: u32,
  tensor: u32,
}

@group(0) @binding(0) var<storage, read_write> codes: array<Codes>;
@group(0) @binding(1) var<storage, read_write> constants: array<u32>;   // (groups), all
@group(0) @binding(2) var<storage, read> update: array<Octet>;
@group(1) @binding(0) var<uniform> params: Params;

fn updated(octet: u32, by: Constants, p: Params) -> Octet {
  let old = decode(load_codes(octet), by);
  let change = update[octet];
  return Octet(
    p.decay * old.low + change.low,
    p.decay * old.high + change.high,
  );
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
  let place = p.first_octet / p.group_octets + min(group, p.groups - 1u);
  let old = constants_in(constants[place]);

  var held: array<Octet, max(1u, HELD)>;
  // @unroll
  for (var k = 0u; k < HELD; k++) {
    let octet = start + k * LANES + lane;
    if (octet < end) { held[k] = updated(octet, old, p); }
  }
  // The range of a group includes zero, so that octets which it lacks may count as zeros.
  var extent = Extent(0.0, 0.0);
  // @unroll
  for (var k = 0u; k < HELD; k++) { extent = extent_with(extent, held[k]); }
  if (!WHOLE) {
    for (var octet = start + HELD * LANES + lane; octet < end; octet += LANES) {
      extent = extent_with(extent, updated(octet, old, p));
    }
  }
  lanes_have_read();   // `old`, which one overwrites
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
      encode(octet, updated(octet, old, p), by, p);
    }
  }
  if (lane == 0u && group < p.groups) { constants[place] = word; }
}
