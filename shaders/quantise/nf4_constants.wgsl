// The second level of QLoRA's quantisation (Dettmers et al. 2023): for each 256 absolute maxima
//   scale = max |absmax − offset|
//   codes = nearest of the signed dynamic map to (absmax − offset) / scale
// The offset, their mean over the matrix, is already stored. LANES threads read 256 maxima twice.
// See lib/nf4.wgsl for the layout of the constants.
// @use dynamic_8bit, nf4, lanes, fours
struct Params {
  blocks: u32,   // of the matrix
}

@group(0) @binding(0) var<storage, read> absmaxes: array<vec4<f32>>;     // (blocks), padded
@group(0) @binding(1) var<storage, read_write> constants: array<u32>;
@group(1) @binding(0) var<uniform> params: Params;

// Zero past the last block, to give the code of zero.
fn centred(quad: u32, offset: f32) -> vec4<f32> {
  let blocks = four_from(4u * quad);
  return select(vec4<f32>(0.0), absmaxes[quad] - offset, blocks < vec4<u32>(params.blocks));
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(global_invocation_id) id: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let superblock = id.x / LANES;
  let lane = id.x % LANES;
  let start = superblock * NF4_SUPERBLOCK / 4u;
  let end = max(start, min(start + NF4_SUPERBLOCK / 4u, (params.blocks + 3u) / 4u));
  let offset = bitcast<f32>(constants[0]);

  var own = vec4<f32>(0.0);
  for (var quad = start + lane; quad < end; quad += LANES) {
    own = max(own, abs(centred(quad, offset)));
  }
  let scale = lanes_max(vec2<f32>(largest_of(own), 0.0), local).x;

  let inverse = 1.0 / max(scale, 0x1p-126f);   // see nf4_quantize.wgsl
  for (var quad = start + lane; quad < end; quad += LANES) {
    constants[nf4_code_word(4u * quad)] = encode_signed(centred(quad, offset) * inverse);
  }
  if (lane == 0u && start < end) {
    constants[nf4_record(4u * start)] = bitcast<u32>(scale);
  }
}
