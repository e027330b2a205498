// Eight moments of Adam as codes of 4 bits, relative to the absolute maximum of their block: one word,
// lowest bits first (Li et al. 2023, "Memory Efficient Optimizers with 4-bit States", sections 3 and
// 4). Twin: moments_8bit.wgsl.
//   First moments: the signed dynamic map, which is zero, one, and between them three decades up to 1,
// of 1, 2 and 4 numbers of each sign, the midpoints of equal parts of a decade's upper nine tenths.
// Codes are 7 ± place.
//   Second moments: sixteenths from 1/16 to 1. A zero would make updates of a moment that is only
// small as large as those of a gradient that was never seen.
// @use bytes
alias Codes = u32;

const BLOCK_OCTETS = 16u;

// Half-way between neighbouring places.
const BORDERS = array<f32, 8>(0.00275, 0.019, 0.055, 0.145, 0.325, 0.55, 0.775, 0.94375);

fn places_of(codes: Codes) -> mat2x4<f32> {
  return mat2x4<f32>(unpack_nibbles(codes), unpack_nibbles(codes >> 16u));
}

fn pack_places(low: vec4<f32>, high: vec4<f32>) -> Codes {
  return pack_nibbles(low) | (pack_nibbles(high) << 16u);
}

// In a decade the numbers are equally far apart.
fn first_value(places: vec4<f32>) -> vec4<f32> {
  let p = abs(places);
  let below = select(0.0055 * p, 0.045 * p - 0.0575, p >= vec4<f32>(2.0));
  let values = select(below, 0.225 * p - 0.6875, p >= vec4<f32>(4.0));
  return sign(places) * min(values, vec4<f32>(1.0));
}

fn first_place(values: vec4<f32>) -> vec4<f32> {
  let magnitudes = abs(values);
  var places = vec4<f32>(0.0);
  // @unroll
  for (var i = 0u; i < 8u; i++) {
    places += select(vec4<f32>(0.0), vec4<f32>(1.0), magnitudes > vec4<f32>(BORDERS[i]));
  }
  return select(7.0 - min(places, vec4<f32>(7.0)), 7.0 + places, values > vec4<f32>(0.0));
}

fn second_place(values: vec4<f32>) -> vec4<f32> {
  return clamp(round(16.0 * values), vec4<f32>(1.0), vec4<f32>(16.0)) - 1.0;
}

fn decode_first(codes: Codes) -> mat2x4<f32> {
  let places = places_of(codes);
  return mat2x4<f32>(first_value(places[0] - 7.0), first_value(places[1] - 7.0));
}

fn decode_second(codes: Codes) -> mat2x4<f32> {
  let places = places_of(codes);
  return mat2x4<f32>(0.0625 * (places[0] + 1.0), 0.0625 * (places[1] + 1.0));
}

fn encode_first(low: vec4<f32>, high: vec4<f32>) -> Codes {
  return pack_places(first_place(low), first_place(high));
}

fn encode_second(low: vec4<f32>, high: vec4<f32>) -> Codes {
  return pack_places(second_place(low), second_place(high));
}
