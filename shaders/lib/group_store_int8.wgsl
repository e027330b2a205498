// Adds stores to group_int8.wgsl, for kernels that write codes.
// @use group_int8
fn store_codes(octet: u32, values: Octet) {
  codes[octet] = vec2<u32>(pack_bytes(values.low), pack_bytes(values.high));
}
