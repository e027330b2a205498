// 8-bit codes, four to a u32, lowest bits first: an octet is two words of the kernel's binding
// `codes`, an array of Codes. Twin: group_int4.wgsl.
// @use group, bytes
alias Codes = vec2<u32>;

const LEVELS = 255.0;

fn load_codes(octet: u32) -> Octet {
  let words = codes[octet];
  return Octet(unpack_bytes(words.x), unpack_bytes(words.y));
}
