// The first key of its sequence that a query may see: the start of its sliding window, or of its
// packed example. Never decreasing within a sequence, so that a block of queries needs no key
// before its first query's. has_first_keys in the kernel's Params is 0 without first keys; another
// operand is then bound in their place and never read.
@group(0) @binding(8) var<storage, read> first_keys: array<u32>;   // (B·Tq)

fn first_key_of(row: u32) -> u32 {
  if (params.has_first_keys == 0u) { return 0u; }
  return first_keys[row];
}

fn first_keys_of(rows: vec4<u32>) -> vec4<u32> {
  if (params.has_first_keys == 0u) { return vec4<u32>(0u); }
  return vec4<u32>(
    first_keys[rows.x], first_keys[rows.y], first_keys[rows.z], first_keys[rows.w],
  );
}
