// The fourth texture of the backward kernels; see attention_texture.wgsl.
@group(0) @binding(3) var dout: texture_storage_2d<rgba32float, read>;   // (B·T, H·D)

fn load_dout(x: u32, y: vec4<u32>) -> mat4x4<f32> {
  return mat4x4<f32>(
    textureLoad(dout, vec2<u32>(x, y.x)),
    textureLoad(dout, vec2<u32>(x, y.y)),
    textureLoad(dout, vec2<u32>(x, y.z)),
    textureLoad(dout, vec2<u32>(x, y.w)),
  );
}
