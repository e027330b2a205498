// target[s · length + t] = source[s · capacity + t] as float32, four elements to a texel
// A software adapter reads a storage texture up to eight times faster than a buffer, and attention
// reads each element many times.
// @use bfloat16 | float32
override WORKGROUP_SIZE: u32;

struct Params {
  count: u32,      // texels: sequences · length · width
  width: u32,      // texels per row
  length: u32,     // rows staged per sequence
  capacity: u32,   // rows per sequence in the source
  quads: u32,      // row stride, in quads
}

@group(0) @binding(0) var<storage, read> source: array<Quad>;
@group(0) @binding(1) var target_texels: texture_storage_2d<rgba32float, write>;
@group(1) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (id.x >= params.count) { return; }
  let x = id.x % params.width;
  let y = id.x / params.width;
  let row = (y / params.length) * params.capacity + y % params.length;
  textureStore(target_texels, vec2<u32>(x, y), unpack(source[row * params.quads + x]));
}
