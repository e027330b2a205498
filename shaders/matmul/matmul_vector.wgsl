// c = alpha · A · Bᵀ [+ c] [+ residual] for at most four rows of A: decoding one token at a time.
//   A (M, K) float32 or bfloat16, B (N, K) in the format of lib/octet_<format>.wgsl ("source").
// Only A is reused, so B is read directly from its buffer, once. LANES threads share four rows of B
// (a quad of c) and split k among them; their parts are added in pairs. On a software adapter one
// lane is fastest; on a card many are, because loads coalesce, and because it takes thousands of
// loads at once to keep its memory busy: hence also several octets a round.
// @use bfloat16 | float32
// @use octet_float32 | octet_bfloat16 | octet_int8 | octet_int4 | octet_nf4 | octet_nf4_table
// @use no_table | nf4_table
// @use matmul_store, fours
// @const OCTETS
override LANES: u32;            // a power of two
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

// A row past the last is read as the last: its sums are not stored.
fn octet_b(row: u32, column: u32) -> Octet {
  return octet(min(row, params.columns - 1u) * params.row_octets + column);
}

// Zero past the end of k: whatever lies there may be an infinity.
fn ended(o: Octet, column: u32) -> Octet {
  let k = four_from(8u * column);
  return Octet(
    select(vec4<f32>(0.0), o.low, k < vec4<u32>(params.k)),
    select(vec4<f32>(0.0), o.high, k + 4u < vec4<u32>(params.k)),
  );
}

// Four columns of c for each row of A. Never index the matrix by a variable, which would move it
// out of registers.
fn added(before: mat4x4<f32>, b: array<Octet, 4>, i: u32) -> mat4x4<f32> {
  var sums = before;
  let low = transpose(mat4x4<f32>(b[0].low, b[1].low, b[2].low, b[3].low));
  let high = transpose(mat4x4<f32>(b[0].high, b[1].high, b[2].high, b[3].high));
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
  return sums;
}

fn octets_b(quad: u32, i: u32) -> array<Octet, 4> {
  return array<Octet, 4>(
    octet_b(4u * quad, i),
    octet_b(4u * quad + 1u, i),
    octet_b(4u * quad + 2u, i),
    octet_b(4u * quad + 3u, i),
  );
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(global_invocation_id) id: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let quad = id.x / LANES;
  let lane = id.x % LANES;
  prepare_tables(local);
  var sums = mat4x4<f32>();
  if (4u * quad < params.columns) {
    let octets = (params.k + 7u) / 8u;
    for (var first = lane; first < octets; first += OCTETS * LANES) {
      var b: array<array<Octet, 4>, OCTETS>;
      // @unroll
      for (var o = 0u; o < OCTETS; o++) {
        b[o] = octets_b(quad, min(first + o * LANES, octets - 1u));
      }
      if (8u * (first + (OCTETS - 1u) * LANES) + 8u > params.k) {
        // @unroll
        for (var o = 0u; o < OCTETS; o++) {
          // @unroll
          for (var r = 0u; r < 4u; r++) { b[o][r] = ended(b[o][r], first + o * LANES); }
        }
      }
      // @unroll
      for (var o = 0u; o < OCTETS; o++) {
        sums = added(sums, b[o], min(first + o * LANES, octets - 1u));
      }
    }
  }
  if (LANES > 1u) {
    // @unroll
    for (var r = 0u; r < 4u; r++) {
      if (ROWS > r) { parts[local][r] = sums[r]; }
    }
    for (var step = LANES / 2u; step > 0u; step /= 2u) {
      workgroupBarrier();
      if (lane < step) {
        // @unroll
        for (var r = 0u; r < 4u; r++) {
          if (ROWS > r) { parts[local][r] += parts[local + step][r]; }
        }
      }
    }
    if (lane != 0u) { return; }
    // @unroll
    for (var r = 0u; r < 4u; r++) {
      if (ROWS > r) { sums[r] = parts[local][r]; }
    }
  }
  // @unroll
  for (var r = 0u; r < 4u; r++) { store_quad(r, quad, sums[r]); }
}
