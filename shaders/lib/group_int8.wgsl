// 8-bit codes, four to a u32, lowest bits first: an octet is two words of the kernel's binding
// `codes`, an array of Codes. Twin: group_int4.wgsl.
// @use group
alias Codes = vec2<u32>;

const LEVELS = 255.0;

fn load_codes(octet: u32) -> Octet {
  let words = codes[octet];
  let shifts = vec4<u32>(0u, 8u, 16u, 24u);
  return Octet(
    vec4<f32>((vec4<u32>(words.x) >> shifts) & vec4<u32>(0xffu)),
    vec4<f32>((vec4<u32>(words.y) >> shifts) & vec4<u32>(0xffu)),
  );
}
