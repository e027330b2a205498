// Operand b of lib/octet_any.wgsl, of which an octet takes four words (bfloat16) or twice four
// (float32).
@group(0) @binding(1) var<storage, read> b: array<vec4<u32>>;

fn words_b(index: u32) -> vec4<u32> {
  return b[index];
}
