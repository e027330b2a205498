// The fourth operand of the backward kernels; see attention_tile.wgsl.
// @use bfloat16 | float32
@group(0) @binding(3) var<storage, read> dout: array<Quad>;   // (B·T, H·D)

fn load_dout(at: vec4<u32>, d: u32) -> mat4x4<f32> {
  return mat4x4<f32>(
    unpack(dout[at.x + d]), unpack(dout[at.y + d]), unpack(dout[at.z + d]), unpack(dout[at.w + d]),
  );
}
