// Momentum in 8 bits, block-wise (momentum.wgsl has the equations, adam_blockwise.wgsl the format):
// LANES threads per block hold its new momentum (lanes_held.wgsl), or compute it twice. The update
// uses the momentum before rounding.
//   A block whose maximum is zero is zero whatever its codes: an initial state is all zero bytes.
// @use update_apart | update_in_place
// @use dynamic_8bit, lanes_held, fours
const BLOCK_OCTETS = 32u;

struct Params {
  octets: u32,        // of this range
  first_block: u32,   // of this range, in the whole tensor
  blocks: u32,        // of this range
  fresh: f32,         // 1 − μ: computed on the host, before rounding to float32
  ahead: f32,
}

@group(0) @binding(1) var<storage, read_write> momentum: array<vec2<u32>>;   // codes, four per word
@group(0) @binding(2) var<storage, read_write> absmax: array<f32>;     // (blocks), all
@group(1) @binding(0) var<uniform> params: Params;

fn new_momentum(octet: u32, largest: f32, fresh: f32) -> mat2x4<f32> {
  let words = momentum[octet];
  let old = mat2x4<f32>(largest * decode_signed(words.x), largest * decode_signed(words.y));
  return old + fresh * (incoming(octet) - old);
}

fn with_largest(largest: f32, values: mat2x4<f32>) -> f32 {
  return max(largest, largest_of(max(abs(values[0]), abs(values[1]))));
}

fn write(octet: u32, m: mat2x4<f32>, divisor: f32, ahead: f32) {
  momentum[octet] = vec2<u32>(encode_signed(m[0] / divisor), encode_signed(m[1] / divisor));
  update[octet] = m + ahead * (incoming(octet) - m);
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(global_invocation_id) id: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  // Once: a processor would load a parameter again in every iteration, since it may alias a store.
  let fresh = params.fresh;
  let ahead = params.ahead;
  let block = id.x / LANES;
  let lane = id.x % LANES;
  // A thread past the last block has no elements, but must still reach the barriers.
  let start = block * BLOCK_OCTETS;
  let end = select(0u, min(start + BLOCK_OCTETS, params.octets), block < params.blocks);
  let place = params.first_block + min(block, params.blocks - 1u);
  let old = absmax[place];

  var held: array<mat2x4<f32>, max(1u, HELD)>;
  // @unroll
  for (var k = 0u; k < HELD; k++) {
    let octet = start + k * LANES + lane;
    if (octet < end) { held[k] = new_momentum(octet, old, fresh); }
  }
  // An octet that the block lacks counts as zeros, which are never the largest.
  var own = 0.0;
  // @unroll
  for (var k = 0u; k < HELD; k++) { own = with_largest(own, held[k]); }
  if (!WHOLE) {
    for (var octet = start + HELD * LANES + lane; octet < end; octet += LANES) {
      own = with_largest(own, new_momentum(octet, old, fresh));
    }
  }
  lanes_have_read();   // the old maximum, which one overwrites
  let largest = lanes_max(vec2<f32>(own), local).x;
  let divisor = select(1.0, largest, largest > 0.0);

  // @unroll
  for (var k = 0u; k < HELD; k++) {
    let octet = start + k * LANES + lane;
    if (octet < end) { write(octet, held[k], divisor, ahead); }
  }
  if (!WHOLE) {
    for (var octet = start + HELD * LANES + lane; octet < end; octet += LANES) {
      write(octet, new_momentum(octet, old, fresh), divisor, ahead);
    }
  }
  if (lane == 0u && block < params.blocks) { absmax[place] = largest; }
}
