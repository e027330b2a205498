// Operand b of lib/octet_any.wgsl, of which an octet takes one word: int4 or nf4.
@group(0) @binding(1) var<storage, read> b: array<u32>;

fn words_b(index: u32) -> vec4<u32> {
  return vec4<u32>(b[index], 0u, 0u, 0u);
}
