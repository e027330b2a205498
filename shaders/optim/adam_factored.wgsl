// Adam's step with a factored second moment and a first moment in 8 bits (adam_blockwise.wgsl has
// the format), whose blocks of 256 elements start anew in each row. The second moment of row i and column
// j is v_i · columns_j / mean(columns) (Shazeer & Stern 2018, "Adafactor", algorithm 4), where
// column_moments.wgsl has made the columns' of the 256 rows around it:
//   v = β2·v + (1 − β2)·mean_c(g²)
//   m = β1·m + (1 − β1)·g
//   g ← −step_size · m / (√(v · columns / mean(columns)) + eps)     bias correction as in adam.wgsl
// LANES threads per row. They sum up its squares, then go through its blocks, whose elements come
// from a cache by now, and hold the new moments of each (lanes_held.wgsl), or compute them twice. The
// update uses the moments before rounding.
//   A block whose maximum is zero is zero whatever its codes: an initial state is all zero bytes.
// @use dynamic_8bit, lanes_held, fours
const BLOCK_OCTETS = 32u;
const MOMENT_ROWS = 256u;

struct Params {
  rows: u32,          // of this range
  columns: u32,
  octets: u32,        // row stride, in octets
  blocks: u32,        // of a row
  beta1: f32,
  beta2: f32,
  fresh1: f32,        // 1 − β1, and 1 − β2: computed on the host, before rounding to float32
  fresh2: f32,
  step_size: f32,
  eps: f32,
}

@group(0) @binding(0) var<storage, read_write> gradient: array<mat2x4<f32>>;   // (rows, C)
@group(0) @binding(1) var<storage, read_write> m: array<vec2<u32>>;     // codes, four per word
@group(0) @binding(2) var<storage, read_write> absmax: array<f32>;      // (rows · blocks)
@group(0) @binding(3) var<storage, read_write> v: array<f32>;           // (rows)
@group(0) @binding(4) var<storage, read> columns: array<mat2x4<f32>>;   // (blocks of rows, C)
@group(1) @binding(0) var<uniform> params: Params;

fn with_squares(sum: vec4<f32>, g: mat2x4<f32>) -> vec4<f32> {
  return sum + g[0] * g[0] + g[1] * g[1];
}

fn new_moment(octet: u32, largest: f32, p: Params) -> mat2x4<f32> {
  let words = m[octet];
  let g = gradient[octet];
  return mat2x4<f32>(
    p.beta1 * (largest * decode_signed(words.x)) + p.fresh1 * g[0],
    p.beta1 * (largest * decode_signed(words.y)) + p.fresh1 * g[1],
  );
}

fn with_largest(largest: f32, values: mat2x4<f32>) -> f32 {
  return max(largest, largest_of(max(abs(values[0]), abs(values[1]))));
}

fn write(octet: u32, column: u32, moment: mat2x4<f32>, divisor: f32, second: f32, p: Params) {
  m[octet] = vec2<u32>(encode_signed(moment[0] / divisor), encode_signed(moment[1] / divisor));
  let c = columns[column];
  gradient[octet] = mat2x4<f32>(
    -p.step_size * moment[0] / (sqrt(second * c[0]) + p.eps),
    -p.step_size * moment[1] / (sqrt(second * c[1]) + p.eps),
  );
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  // Once: a processor would load a parameter again in every iteration, since it may alias a store.
  let p = params;
  let lane = local % LANES;
  let row = group.x * (WORKGROUP_SIZE / LANES) + local / LANES;
  // A thread past the last row has no elements, but must still reach the barriers.
  let octets = select(0u, p.octets, row < p.rows);
  let place = min(row, p.rows - 1u);
  let start = place * p.octets;

  let moments = place / MOMENT_ROWS * p.octets;

  // The padding of a row is zero and adds nothing to the sums.
  var squares = vec4<f32>(0.0);
  var around = vec4<f32>(0.0);
  for (var i = lane; i < octets; i += LANES) {
    squares = with_squares(squares, gradient[start + i]);
    around += columns[moments + i][0] + columns[moments + i][1];
  }
  // One lane brings the old second moment, so that none reads it after it has been overwritten.
  let sums = lanes_sum(
    vec2<f32>(
      squares.x + squares.y + squares.z + squares.w,
      select(0.0, v[place], lane == 0u),
    ),
    local,
  );
  let own = p.beta2 * sums.y + p.fresh2 * (sums.x / f32(p.columns));
  if (lane == 0u && row < p.rows) { v[row] = select(own, 0.0, own < LEAST); }
  // The mean over 256 rows is at least a 256th of that of one: the quotient does not overflow.
  let total = lanes_sum(vec2<f32>(around.x + around.y + around.z + around.w), local).x;
  let second = own / max(total / f32(p.columns), LEAST);

  for (var block = 0u; block < p.blocks; block++) {
    let first = start + block * BLOCK_OCTETS;
    let end = select(0u, min(first + BLOCK_OCTETS, start + octets), row < p.rows);
    let old = absmax[place * p.blocks + block];
    var held: array<mat2x4<f32>, max(1u, HELD)>;
    // @unroll
    for (var k = 0u; k < HELD; k++) {
      let octet = first + k * LANES + lane;
      if (octet < end) { held[k] = new_moment(octet, old, p); } else { held[k] = mat2x4<f32>(); }
    }
    // An octet that the block lacks counts as zeros, which are never the largest.
    var own_most = 0.0;
    // @unroll
    for (var k = 0u; k < HELD; k++) { own_most = with_largest(own_most, held[k]); }
    if (!WHOLE) {
      for (var octet = first + HELD * LANES + lane; octet < end; octet += LANES) {
        own_most = with_largest(own_most, new_moment(octet, old, p));
      }
    }
    lanes_have_read();   // the old maximum, which one overwrites
    let most = lanes_max(vec2<f32>(own_most), local).x;
    let largest = select(most, 0.0, most < LEAST);
    let divisor = select(1.0, largest, largest > 0.0);

    // @unroll
    for (var k = 0u; k < HELD; k++) {
      let octet = first + k * LANES + lane;
      if (octet < end) { write(octet, moments + octet - start, held[k], divisor, second, p); }
    }
    if (!WHOLE) {
      for (var octet = first + HELD * LANES + lane; octet < end; octet += LANES) {
        write(octet, moments + octet - start, new_moment(octet, old, p), divisor, second, p);
      }
    }
    if (lane == 0u && row < p.rows) { absmax[place * p.blocks + block] = largest; }
  }
}
