// 4-bit codes, eight to a u32, lowest bits first: an octet is one word of the kernel's binding
// `codes`, an array of Codes. Twin: group_int8.wgsl.
// @use group, bytes
alias Codes = u32;

const LEVELS = 15.0;

fn load_codes(octet: u32) -> Octet {
  let word = vec4<u32>(codes[octet]);
  return Octet(
    number_of((word >> vec4<u32>(0u, 4u, 8u, 12u)) & vec4<u32>(0xfu)),
    number_of((word >> vec4<u32>(16u, 20u, 24u, 28u)) & vec4<u32>(0xfu)),
  );
}
