// Adam's step with 8-bit moments, block-wise (Dettmers et al. 2022; adam.wgsl has the equations): a
// block of 256 consecutive elements of the padded tensor stores the codes of its moments, relative
// to the block's absolute maxima. LANES threads per block compute the new moments twice: for the
// maxima, then for the update and the codes. The update uses the moments before rounding.
//   A block whose maximum is zero is zero whatever its codes: an initial state is all zero bytes.
//   bitsandbytes' CUDA kernel, unlike its other backends, replaces a small negative m that would
// become zero by the smallest negative number; a positive one becomes zero. Not done here.
// @use dynamic_8bit, lanes, fours
const BLOCK_QUADS = 64u;

struct Params {
  quads: u32,         // of this range
  first_block: u32,   // of this range, in the whole tensor
  blocks: u32,        // of this range
  beta1: f32,
  beta2: f32,
  fresh1: f32,        // 1 − β1, and 1 − β2: computed on the host, before rounding to float32
  fresh2: f32,
  step_size: f32,     // lr · √(1 − β2^t) / (1 − β1^t)
  eps: f32,           // ε · √(1 − β2^t)
}

@group(0) @binding(0) var<storage, read_write> gradient: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> m: array<u32>;             // codes, four per word
@group(0) @binding(2) var<storage, read_write> v: array<u32>;
@group(0) @binding(3) var<storage, read_write> absmax_m: array<f32>;      // (blocks), all
@group(0) @binding(4) var<storage, read_write> absmax_v: array<f32>;
@group(1) @binding(0) var<uniform> params: Params;

fn first_moment(quad: u32, absmax: f32) -> vec4<f32> {
  return params.beta1 * (absmax * decode_signed(m[quad])) + params.fresh1 * gradient[quad];
}

fn second_moment(quad: u32, absmax: f32) -> vec4<f32> {
  let g = gradient[quad];
  return params.beta2 * (absmax * decode_unsigned(v[quad])) + params.fresh2 * g * g;
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
  let old = vec2<f32>(absmax_m[place], absmax_v[place]);

  var own = vec2<f32>(0.0);
  for (var quad = start + lane; quad < end; quad += LANES) {
    own.x = max(own.x, largest_of(abs(first_moment(quad, old.x))));
    own.y = max(own.y, largest_of(second_moment(quad, old.y)));
  }
  // Its barrier also ensures that every lane has read the old maxima before the new are written.
  let absmax = lanes_max(own, local);
  // In a block whose maximum is zero all moments are zero, whatever the divisor.
  let divisor = select(vec2<f32>(1.0), absmax, absmax > vec2<f32>(0.0));

  for (var quad = start + lane; quad < end; quad += LANES) {
    let first = first_moment(quad, old.x);
    let second = second_moment(quad, old.y);
    m[quad] = encode_signed(first / divisor.x);
    v[quad] = encode_unsigned(second / divisor.y);
    gradient[quad] = -params.step_size * first / (sqrt(second) + params.eps);
  }
  if (lane == 0u && block < params.blocks) {
    absmax_m[place] = absmax.x;
    absmax_v[place] = absmax.y;
  }
}
