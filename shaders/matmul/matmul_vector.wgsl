// c = alpha · A · Bᵀ [+ c] [+ residual] for at most four rows of A: decoding one token at a time.
//   A (M, K) float32 or bfloat16, B (N, K) in the format of lib/octet_<format>.wgsl ("source").
// Only A is reused, so B is read directly from its buffer, once. LANES threads share four rows of B
// (a quad of c) and split k among them; the first adds the parts in order. On a software adapter
// one lane is fastest; on a card several are, because loads coalesce.
// @use bfloat16 | float32
// @use octet_float32 | octet_bfloat16 | octet_int8 | octet_int4 | octet_nf4
// @use matmul_store, fours
override LANES: u32;
override WORKGROUP_SIZE: u32;   // a multiple of LANES
override A_BFLOAT16: bool;
// M as a constant: a software adapter runs both sides of a branch and masks one, here on leftover
// register contents, whose denormal numbers made it ten times slower.
override ROWS: u32;

struct Params {
  rows: u32,
  columns: u32,
  row_quads: u32,
  first_quad: u32,
  alpha: f32,
  k: u32,
  a_row_octets: u32,
  row_octets: u32,
  first_octet: u32,
  group_octets: u32,
}

@group(0) @binding(2) var<storage, read> a: array<vec4<u32>>;   // (M, K)
@group(1) @binding(0) var<uniform> params: Params;

var<workgroup> parts: array<mat4x4<f32>, WORKGROUP_SIZE>;

fn octet_a(row: u32, column: u32) -> Octet {
  let index = row * params.a_row_octets + column;
  if (A_BFLOAT16) {
    let words = a[index];
    let even = bitcast<vec4<f32>>(words << vec4<u32>(16u));
    let odd = bitcast<vec4<f32>>(words & vec4<u32>(0xffff0000u));
    return Octet(vec4<f32>(even.x, odd.x, even.y, odd.y), vec4<f32>(even.z, odd.z, even.w, odd.w));
  }
  return Octet(bitcast<vec4<f32>>(a[2u * index]), bitcast<vec4<f32>>(a[2u * index + 1u]));
}

// The row of B, zero past the end of k and of the rows.
fn octet_b(row: u32, column: u32) -> Octet {
  if (row >= params.columns) { return Octet(vec4<f32>(0.0), vec4<f32>(0.0)); }
  let o = octet(row * params.row_octets + column);
  let k = four_from(8u * column);
  return Octet(
    select(vec4<f32>(0.0), o.low, k < vec4<u32>(params.k)),
    select(vec4<f32>(0.0), o.high, k + 4u < vec4<u32>(params.k)),
  );
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(global_invocation_id) id: vec3<u32>,
  @builtin(local_invocation_id) local: vec3<u32>,
) {
  let quad = id.x / LANES;
  let lane = id.x % LANES;
  // Four columns of c for each row of A. Never index the matrix by a variable, which would move it
  // out of registers.
  var sums = mat4x4<f32>();
  if (4u * quad < params.columns) {
    for (var i = lane; i < (params.k + 7u) / 8u; i += LANES) {
      let b0 = octet_b(4u * quad, i);
      let b1 = octet_b(4u * quad + 1u, i);
      let b2 = octet_b(4u * quad + 2u, i);
      let b3 = octet_b(4u * quad + 3u, i);
      let low = transpose(mat4x4<f32>(b0.low, b1.low, b2.low, b3.low));
      let high = transpose(mat4x4<f32>(b0.high, b1.high, b2.high, b3.high));
      let x0 = octet_a(0u, i);
      sums[0] += low * x0.low + high * x0.high;
      if (ROWS > 1u) {
        let x1 = octet_a(1u, i);
        sums[1] += low * x1.low + high * x1.high;
      }
      if (ROWS > 2u) {
        let x2 = octet_a(2u, i);
        sums[2] += low * x2.low + high * x2.high;
      }
      if (ROWS > 3u) {
        let x3 = octet_a(3u, i);
        sums[3] += low * x3.low + high * x3.high;
      }
    }
  }
  if (LANES > 1u) {
    parts[local.x] = sums;
    workgroupBarrier();
    if (lane != 0u) { return; }
    for (var i = 1u; i < LANES; i++) { sums += parts[local.x + i]; }
  }
  store_quad(0u, quad, sums[0]);
  store_quad(1u, quad, sums[1]);
  store_quad(2u, quad, sums[2]);
  store_quad(3u, quad, sums[3]);
}
