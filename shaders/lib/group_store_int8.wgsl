// Adds stores to group_int8.wgsl, for kernels that write codes.
// @use group_int8
fn store_codes(octet: u32, values: Octet) {
  codes[octet] = vec2<u32>(word_of(values.low), word_of(values.high));
}

fn word_of(values: vec4<f32>) -> u32 {
  let bytes = vec4<u32>(values) << vec4<u32>(0u, 8u, 16u, 24u);
  return bytes.x | bytes.y | bytes.z | bytes.w;
}
