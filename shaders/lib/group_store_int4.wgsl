// Adds stores to group_int4.wgsl, for kernels that write codes.
// @use group_int4
fn store_codes(octet: u32, values: Octet) {
  let low = bits_of(values.low) & vec4<u32>(0xfu);
  let high = bits_of(values.high) & vec4<u32>(0xfu);
  let bits = (low << vec4<u32>(0u, 4u, 8u, 12u)) | (high << vec4<u32>(16u, 20u, 24u, 28u));
  codes[octet] = bits.x | bits.y | bits.z | bits.w;
}
