// Operand b of lib/octet_any.wgsl, of which an octet takes two words: int8.
@group(0) @binding(1) var<storage, read> b: array<vec2<u32>>;

fn words_b(index: u32) -> vec4<u32> {
  return vec4<u32>(b[index], 0u, 0u);
}
