// Operand a of lib/octet_any.wgsl, of which an octet takes two words: int8.
@group(0) @binding(0) var<storage, read> a: array<vec2<u32>>;

fn words_a(index: u32) -> vec4<u32> {
  return vec4<u32>(a[index], 0u, 0u);
}
