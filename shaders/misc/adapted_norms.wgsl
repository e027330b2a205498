// norm[i] = |W_i + s·B_i·A|, factor[i] = m[i] / norm[i]        (DoRA: Liu et al. 2024, equation 5)
//   |W_i + s·B_i·A|² = |W_i|² + B_i·p_i,   p = 2s·A·Wᵀ + s²·(A·Aᵀ)·Bᵀ (R, out), by matrix products
// so that W + s·B·A, which is as large as W in full precision, never exists. A row of zeros has the
// factor 0. LANES threads share a row.
// @use weight_float32 | weight_bfloat16 | weight_int8 | weight_nf4
// @use lanes

struct Params {
  rows: u32,          // of this range
  octets: u32,        // row stride of W, in octets
  row: u32,           // first row of this range
  rank: u32,
  b_stride: u32,      // row strides in elements
  p_stride: u32,
  first_octet: u32,   // of this range of W, in the whole matrix, for its constants
  group_octets: u32,
}

@group(0) @binding(0) var<storage, read> weight: array<WeightOctet>;        // (out, in)
@group(0) @binding(1) var<storage, read> b: array<f32>;                     // (out, R)
@group(0) @binding(2) var<storage, read> products: array<f32>;              // p (R, out)
@group(0) @binding(4) var<storage, read> magnitude: array<f32>;             // m (out)
@group(0) @binding(5) var<storage, read_write> norm: array<f32>;            // (out)
@group(0) @binding(6) var<storage, read_write> factor: array<f32>;          // (out)
@group(1) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(global_invocation_id) id: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let p = params;
  let row = id.x / LANES;
  let lane = id.x % LANES;
  // A thread past the last row has no elements, but must still reach the barriers.
  let inside = row < p.rows;
  let octets = select(0u, p.octets, inside);
  let rank = select(0u, p.rank, inside);
  let at = p.row + row;

  var squares = vec4<f32>(0.0);
  for (var octet = lane; octet < octets; octet += LANES) {
    let values = load_weight(row * p.octets + octet);
    squares += values[0] * values[0] + values[1] * values[1];
  }
  var others = 0.0;
  for (var k = lane; k < rank; k += LANES) {
    others += b[at * p.b_stride + k] * products[k * p.p_stride + at];
  }
  let own = vec2<f32>(squares.x + squares.y + squares.z + squares.w, others);
  let sums = lanes_sum(own, local);
  if (lane > 0u || !inside) { return; }
  // Rounding may leave a square of nothing below zero.
  let length = sqrt(max(0.0, sums.x + sums.y));
  norm[at] = length;
  if (length == 0.0) { factor[at] = 0.0; } else { factor[at] = magnitude[at] / length; }
}
