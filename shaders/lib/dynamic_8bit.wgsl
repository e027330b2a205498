// The 8-bit dynamic format of bitsandbytes (Dettmers et al. 2022, "8-bit Optimizers via Block-wise
// Quantization") for numbers in [−1, 1]: zero, one, and between them seven decades up to 1, of n,
// 2n, 4n, … 64n numbers of each sign, the midpoints of equal parts of a decade's upper nine tenths.
// n = 1 if signed, 2 if unsigned.
//
// Bitsandbytes searches a table of 256. Here a number is computed from its index q = n·2^i + j,
// part j of decade i, and the index from the number: on a processor a table lookup costs as much as
// ten additions, and a search takes eight. Codes are 127 ± q if signed, q − 1 if unsigned; zero has
// index n − 1, one has 128n.
// @use bytes
const POWERS = array<f32, 7>(1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0);

// |value| = 10^(i − 6) · (0.1 + 0.9 · (j + ½) / 2^i·n)
fn dynamic_values(places: vec4<f32>, n: f32) -> vec4<f32> {
  var power = vec4<f32>(POWERS[0]);
  var parts = n;
  // @unroll
  for (var i = 1u; i < 7u; i++) {
    parts *= 2.0;
    power = select(power, vec4<f32>(POWERS[i]), places >= vec4<f32>(parts));
  }
  // q + ½ is a float with exponent i (i + 1 if unsigned), whose mantissa is 1 + (j + ½) / 2^i·n.
  let bits = (bitcast<vec4<u32>>(places + 0.5) & vec4<u32>(0x007fffffu)) | vec4<u32>(0x3f800000u);
  let values = power * (0.9 * bitcast<vec4<f32>>(bits) - 0.8);
  return select(
    select(values, vec4<f32>(0.0), places < vec4<f32>(n)),
    vec4<f32>(1.0),
    places >= vec4<f32>(128.0 * n),
  );
}

// The index of the number nearest to each magnitude. The boundary between two decades is not
// 10^(i − 6), because the numbers below it are closer together, but
// 10^(i − 7) · (1 + 0.9 / parts of the lower decade).
fn dynamic_places(magnitudes: vec4<f32>, n: f32) -> vec4<f32> {
  var scale = vec4<f32>(1.0 / POWERS[0]);
  var parts = vec4<f32>(n);
  var lower = n;
  // @unroll
  for (var i = 1u; i < 7u; i++) {
    let above = magnitudes > vec4<f32>(POWERS[i - 1u] * (1.0 + 0.9 / lower));
    lower *= 2.0;
    scale = select(scale, vec4<f32>(1.0 / POWERS[i]), above);
    parts = select(parts, vec4<f32>(lower), above);
  }
  let places = floor((magnitudes * scale + 0.8) / 0.9 * parts);
  return select(
    select(
      clamp(places, parts, 2.0 * parts - 1.0),
      vec4<f32>(n - 1.0),
      magnitudes < vec4<f32>(0.5 * POWERS[0] * (0.1 + 0.45 / n)),
    ),
    vec4<f32>(128.0 * n),
    magnitudes > vec4<f32>(1.0 - 0.225 / (64.0 * n)),
  );
}

fn with_sign_of(magnitudes: vec4<f32>, numbers: vec4<f32>) -> vec4<f32> {
  let sign = bitcast<vec4<u32>>(numbers) & vec4<u32>(0x80000000u);
  return bitcast<vec4<f32>>(bitcast<vec4<u32>>(magnitudes) | sign);
}

fn decode_signed(word: u32) -> vec4<f32> {
  let places = unpack_bytes(word) - 127.0;
  return with_sign_of(dynamic_values(abs(places), 1.0), places);
}

fn encode_signed(values: vec4<f32>) -> u32 {
  let most = select(vec4<f32>(127.0), vec4<f32>(128.0), values > vec4<f32>(0.0));
  return pack_bytes(127.0 + with_sign_of(min(dynamic_places(abs(values), 1.0), most), values));
}

fn decode_unsigned(word: u32) -> vec4<f32> {
  return dynamic_values(unpack_bytes(word) + 1.0, 2.0);
}

fn encode_unsigned(values: vec4<f32>) -> u32 {
  return pack_bytes(dynamic_places(values, 2.0) - 1.0);
}
