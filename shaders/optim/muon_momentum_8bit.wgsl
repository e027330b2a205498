// Muon's momentum in 8 bits, block-wise (muon_momentum.wgsl has the equations, adam_8bit.wgsl the
// format): LANES threads per block compute the new momentum twice, for the absolute maximum and
// then for the update and the codes. The update uses the momentum before rounding.
//   A block whose maximum is zero is zero whatever its codes: an initial state is all zero bytes.
// @use dynamic_8bit
// @use lanes
const BLOCK_QUADS = 64u;

struct Params {
  quads: u32,         // of this range
  first_block: u32,   // of this range, in the whole tensor
  blocks: u32,        // of this range
  fresh: f32,         // 1 − μ: computed on the host, before rounding to float32
}

@group(0) @binding(0) var<storage, read> gradient: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> momentum: array<u32>;   // codes, four per word
@group(0) @binding(2) var<storage, read_write> absmax: array<f32>;     // (blocks), all
@group(0) @binding(3) var<storage, read_write> update: array<vec4<f32>>;
@group(1) @binding(0) var<uniform> params: Params;

fn new_momentum(quad: u32, largest: f32) -> vec4<f32> {
  let old = largest * decode_signed(momentum[quad]);
  return old + params.fresh * (gradient[quad] - old);
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(global_invocation_id) id: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let block = id.x / LANES;
  let lane = id.x % LANES;
  // A thread past the last block has no elements, but must still reach the barrier.
  let start = block * BLOCK_QUADS;
  let end = select(0u, min(start + BLOCK_QUADS, params.quads), block < params.blocks);
  let place = params.first_block + min(block, params.blocks - 1u);
  let old = absmax[place];

  var own = vec4<f32>(0.0);
  for (var quad = start + lane; quad < end; quad += LANES) {
    own = max(own, abs(new_momentum(quad, old)));
  }
  // Its barrier also ensures that every lane has read the old maximum before the new is written.
  let most = max(max(own.x, own.y), max(own.z, own.w));
  let largest = lanes_max(vec2<f32>(most, 0.0), local).x;
  let divisor = select(1.0, largest, largest > 0.0);

  for (var quad = start + lane; quad < end; quad += LANES) {
    let m = new_momentum(quad, old);
    momentum[quad] = encode_signed(m / divisor);
    update[quad] = m + params.fresh * (gradient[quad] - m);
  }
  if (lane == 0u && block < params.blocks) { absmax[place] = largest; }
}
