// Asymmetric group quantisation: value = (code − zero) · scale, one scale and zero point per group of
// consecutive elements, in a word (group_constants.wgsl). Used by lib/group_int8.wgsl and
// lib/group_int4.wgsl, which define Codes, LEVELS, load_codes and store_codes. The unit of work is an
// octet: eight elements, which never straddle two groups.
// @use rng, group_constants
struct Octet {
  low: vec4<f32>,    // elements 0 to 3
  high: vec4<f32>,   // elements 4 to 7
}

// The minimum and maximum of a group, initially (0, 0): the range includes zero, so that zero has
// an exact code. Q-GaLore's code instead clamps the zero point of a group of one sign, which
// saturates.
struct Extent {
  low: f32,
  high: f32,
}

fn extent_with(extent: Extent, octet: Octet) -> Extent {
  let low = min(octet.low, octet.high);
  let high = max(octet.low, octet.high);
  return Extent(
    min(extent.low, min(min(low.x, low.y), min(low.z, low.w))),
    max(extent.high, max(max(high.x, high.y), max(high.z, high.w))),
  );
}

// What a group's codes are relative to.
struct Constants {
  scale: f32,
  zero: f32,
}

fn constants_in(word: u32) -> Constants {
  return Constants(scale_of(word), zero_of(word, u32(LEVELS)));
}

// The constants of a group, as a word; the floor of the range is the reference's.
fn group_constants(extent: Extent) -> u32 {
  let scale = max(extent.high - extent.low, 1e-5) / LEVELS;
  return group_word(scale, clamp(-round(extent.low / scale), 0.0, LEVELS), u32(LEVELS));
}

fn decode(codes: Octet, by: Constants) -> Octet {
  return Octet((codes.low - by.zero) * by.scale, (codes.high - by.zero) * by.scale);
}

fn encode_nearest(values: Octet, by: Constants) -> Octet {
  return clamped(Octet(
    round(values.low / by.scale) + by.zero,
    round(values.high / by.scale) + by.zero,
  ));
}

// Rounds up with a probability equal to the fraction, so that the expectation is the value itself
// and updates smaller than a step are not lost (Q-GaLore, Zhang et al. 2024, section 3.4).
fn encode_stochastic(values: Octet, by: Constants, draws: Octet) -> Octet {
  return clamped(Octet(
    round_by(values.low / by.scale, draws.low) + by.zero,
    round_by(values.high / by.scale, draws.high) + by.zero,
  ));
}

fn round_by(values: vec4<f32>, draws: vec4<f32>) -> vec4<f32> {
  let below = floor(values);
  return below + select(vec4<f32>(0.0), vec4<f32>(1.0), draws < values - below);
}

fn clamped(codes: Octet) -> Octet {
  return Octet(
    clamp(codes.low, vec4<f32>(0.0), vec4<f32>(LEVELS)),
    clamp(codes.high, vec4<f32>(0.0), vec4<f32>(LEVELS)),
  );
}

// Eight uniform numbers for an octet, whose index counts over the whole tensor.
fn rounding_draws(seed: u32, step: u32, tensor: u32, octet: u32) -> Octet {
  return Octet(
    random_uniform(seed, step, tensor, 2u * octet),
    random_uniform(seed, step, tensor, 2u * octet + 1u),
  );
}
