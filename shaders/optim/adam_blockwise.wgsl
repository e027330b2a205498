// Adam's step with moments in codes of 8 or 4 bits, block-wise (Dettmers et al. 2022; Li et al. 2023;
// adam.wgsl has the equations): a block of BLOCK_OCTETS octets of consecutive elements of the padded
// tensor stores the codes of its moments, relative to the block's absolute maxima. If RELATIVE, a
// first moment is stored relative to the root of the element's second moment, as that is stored.
// LANES threads per block hold its new moments (lanes_held.wgsl), or compute them again for each of the
// maxima, and for the update and the codes. The update uses the moments before rounding.
//   A block whose maximum is zero is zero whatever its codes: an initial state is all zero bytes.
//   bitsandbytes' CUDA kernel, unlike its other backends, replaces a small negative m that would
// become zero by the smallest negative number; a positive one becomes zero. Not done here.
// @use moments_8bit | moments_4bit
// @use lanes_held, fours

struct Params {
  octets: u32,        // of this range
  first_block: u32,   // of this range, in the whole tensor
  blocks: u32,        // of this range
  beta1: f32,
  beta2: f32,
  fresh1: f32,        // 1 − β1, and 1 − β2: computed on the host, before rounding to float32
  fresh2: f32,
  step_size: f32,     // lr · √(1 − β2^t) / (1 − β1^t)
  eps: f32,           // ε · √(1 − β2^t)
}

@group(0) @binding(0) var<storage, read_write> gradient: array<mat2x4<f32>>;
@group(0) @binding(1) var<storage, read_write> m: array<Codes>;           // an octet each
@group(0) @binding(2) var<storage, read_write> v: array<Codes>;
@group(0) @binding(3) var<storage, read_write> absmax_m: array<f32>;      // (blocks), all
@group(0) @binding(4) var<storage, read_write> absmax_v: array<f32>;
@group(1) @binding(0) var<uniform> params: Params;

struct Moments {
  first: mat2x4<f32>,
  second: mat2x4<f32>,
}

fn new_moments(octet: u32, absmax: vec2<f32>, p: Params) -> Moments {
  let g = gradient[octet];
  let first = decode_first(m[octet]);
  let second = decode_second(v[octet]);
  return Moments(
    mat2x4<f32>(
      p.beta1 * (absmax.x * first[0] * units_of(absmax.y * second[0])) + p.fresh1 * g[0],
      p.beta1 * (absmax.x * first[1] * units_of(absmax.y * second[1])) + p.fresh1 * g[1],
    ),
    mat2x4<f32>(
      p.beta2 * (absmax.y * second[0]) + p.fresh2 * g[0] * g[0],
      p.beta2 * (absmax.y * second[1]) + p.fresh2 * g[1] * g[1],
    ),
  );
}

fn with_largest(absmax: vec2<f32>, moments: Moments) -> vec2<f32> {
  return max(absmax, vec2<f32>(
    largest_of(max(abs(moments.first[0]), abs(moments.first[1]))),
    largest_of(max(moments.second[0], moments.second[1])),
  ));
}

// First moments in units of their second ones, which are relative to the maximum.
fn relative(moments: Moments, absmax: f32) -> mat2x4<f32> {
  let first = moments.first;
  let second = decode_second(encode_second(moments.second[0] / absmax, moments.second[1] / absmax));
  return mat2x4<f32>(
    first[0] / units_of(absmax * second[0]), first[1] / units_of(absmax * second[1]),
  );
}

fn with_relative(largest: f32, moments: Moments, absmax: f32) -> f32 {
  let values = relative(moments, absmax);
  return max(largest, largest_of(max(abs(values[0]), abs(values[1]))));
}

fn update_of(first: vec4<f32>, second: vec4<f32>, p: Params) -> vec4<f32> {
  return -p.step_size * first / (sqrt(second) + p.eps);
}

fn write(octet: u32, moments: Moments, divisor: vec2<f32>, p: Params) {
  let first = moments.first;
  let second = moments.second;
  var kept = first;
  if (RELATIVE) { kept = relative(moments, divisor.y); }
  m[octet] = encode_first(kept[0] / divisor.x, kept[1] / divisor.x);
  v[octet] = encode_second(second[0] / divisor.y, second[1] / divisor.y);
  gradient[octet] = mat2x4<f32>(
    update_of(first[0], second[0], p), update_of(first[1], second[1], p),
  );
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(global_invocation_id) id: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  // Once: a processor would load a parameter again in every iteration, since it may alias a store.
  let p = params;
  let block = id.x / LANES;
  let lane = id.x % LANES;
  // A thread past the last block has no elements, but must still reach the barriers.
  let start = block * BLOCK_OCTETS;
  let end = select(0u, min(start + BLOCK_OCTETS, p.octets), block < p.blocks);
  let place = p.first_block + min(block, p.blocks - 1u);
  let old = vec2<f32>(absmax_m[place], absmax_v[place]);

  var held: array<Moments, max(1u, HELD)>;
  // @unroll
  for (var k = 0u; k < HELD; k++) {
    let octet = start + k * LANES + lane;
    if (octet < end) { held[k] = new_moments(octet, old, p); }
  }
  // An octet that the block lacks counts as zeros, which are never the largest.
  var own = vec2<f32>(0.0);
  // @unroll
  for (var k = 0u; k < HELD; k++) { own = with_largest(own, held[k]); }
  if (!WHOLE) {
    for (var octet = start + HELD * LANES + lane; octet < end; octet += LANES) {
      own = with_largest(own, new_moments(octet, old, p));
    }
  }
  lanes_have_read();   // the old maxima, which one overwrites
  var largest = lanes_max(own, local);
  if (RELATIVE) {
    largest.y = select(largest.y, 0.0, largest.y < LEAST);
    let unit = select(1.0, largest.y, largest.y > 0.0);
    var top = 0.0;
    // @unroll
    for (var k = 0u; k < HELD; k++) {
      let octet = start + k * LANES + lane;
      if (octet < end) { top = with_relative(top, held[k], unit); }
    }
    if (!WHOLE) {
      for (var octet = start + HELD * LANES + lane; octet < end; octet += LANES) {
        top = with_relative(top, new_moments(octet, old, p), unit);
      }
    }
    // Without second moments no first ones are kept.
    top = lanes_max(vec2<f32>(top), local).x;
    largest.x = select(0.0, top, largest.y > 0.0);
  }
  let absmax = select(largest, vec2<f32>(0.0), largest < vec2<f32>(LEAST));
  // In a block whose maximum is zero all moments are zero, whatever the divisor.
  let divisor = select(vec2<f32>(1.0), absmax, absmax > vec2<f32>(0.0));

  // @unroll
  for (var k = 0u; k < HELD; k++) {
    let octet = start + k * LANES + lane;
    if (octet < end) { write(octet, held[k], divisor, p); }
  }
  if (!WHOLE) {
    for (var octet = start + HELD * LANES + lane; octet < end; octet += LANES) {
      write(octet, new_moments(octet, old, p), divisor, p);
    }
  }
  if (lane == 0u && block < p.blocks) {
    absmax_m[place] = absmax.x;
    absmax_v[place] = absmax.y;
  }
}
