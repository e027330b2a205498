// Operand a of lib/octet_any.wgsl, of which an octet takes four words (bfloat16) or twice four
// (float32).
@group(0) @binding(0) var<storage, read> a: array<vec4<u32>>;

fn words_a(index: u32) -> vec4<u32> {
  return a[index];
}
