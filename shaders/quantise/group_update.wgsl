// weight = requantise(decay · dequantise(weight) + update), group by group, in one pass over the
// codes: no float copy of the weight exists (Q-GaLore, Zhang et al. 2024, algorithm 1). Each group
// gets a new scale and zero point. LANES threads per group compute the new values twice: for their
// extent, then for their codes.
// @use group_store_int8 | group_store_int4
// @use rng, lanes
struct Params {
  octets: u32,          // of this range
  first_octet: u32,     // index of the first octet in the whole tensor; starts a group
  group_octets: u32,
  groups: u32,          // of this range
  decay: f32,
  stochastic: u32,      // 0 or 1
  seed: u32,
  step: u32,
  tensor: u32,
}

@group(0) @binding(0) var<storage, read_write> codes: array<u32>;
@group(0) @binding(1) var<storage, read_write> constants: array<vec2<f32>>;   // (groups, 2), all
@group(0) @binding(2) var<storage, read> update: array<vec4<f32>>;
@group(1) @binding(0) var<uniform> params: Params;

fn updated(octet: u32, pair: vec2<f32>) -> Octet {
  let old = decode(load_codes(octet), pair);
  return Octet(
    params.decay * old.low + update[2u * octet],
    params.decay * old.high + update[2u * octet + 1u],
  );
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(global_invocation_id) id: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let group = id.x / LANES;
  let lane = id.x % LANES;
  // A thread past the last group has no elements, but must still reach the barrier.
  let start = group * params.group_octets;
  let end = select(0u, min(start + params.group_octets, params.octets), group < params.groups);
  let place = params.first_octet / params.group_octets + min(group, params.groups - 1u);
  let old = constants[place];

  var extent = Extent(0.0, 0.0);
  for (var octet = start + lane; octet < end; octet += LANES) {
    extent = extent_with(extent, updated(octet, old));
  }
  // Its barrier also ensures that every lane has read `old` before `pair` is written.
  let maxima = lanes_max(vec2<f32>(-extent.low, extent.high), local);
  let pair = group_constants(Extent(0.0 - maxima.x, maxima.y));

  for (var octet = start + lane; octet < end; octet += LANES) {
    let values = updated(octet, old);
    if (params.stochastic == 1u) {
      let draws = rounding_draws(
        params.seed, params.step, params.tensor, params.first_octet + octet,
      );
      store_codes(octet, encode_stochastic(values, pair, draws));
    } else {
      store_codes(octet, encode_nearest(values, pair));
    }
  }
  if (lane == 0u && group < params.groups) { constants[place] = pair; }
}
