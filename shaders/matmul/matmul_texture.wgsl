// c = alpha · A · Bᵀ [+ c] [+ residual],  A (M, K) and B (N, K) staged as float32 in textures.
// For software adapters, where a texture read costs an eighth of a buffer read and workgroup memory
// gains nothing: a thread keeps a 16 x 8 tile in registers, and a workgroup is one SIMD vector of
// eight threads along n. Of the tiles tried this one is close to the best (about half of the
// multiply-add peak; 8 x 8 and 16 x 16 are a tenth slower) and compiles in 0.2 s (16 x 16: 0.5 s).
// Workgroups run down m first, so that their 64 rows of B stay in cache while A streams through.
// @use bfloat16 | float32
// @use matmul_store
struct Params {
  rows: u32,
  columns: u32,
  row_quads: u32,
  first_quad: u32,
  alpha: f32,
  a_row: u32,       // first row of this dispatch in the texture
  a_band: u32,      // rows per band; see matmul_stage.wgsl
  b_band: u32,
  shift: u32,
  texels: u32,      // of k
}

@group(0) @binding(0) var a: texture_storage_2d<rgba32float, read>;   // (M, K / 4)
@group(0) @binding(1) var b: texture_storage_2d<rgba32float, read>;   // (N, K / 4)
@group(1) @binding(0) var<uniform> params: Params;

// One texel from each of four rows, as the columns of a matrix.
fn load_a(x: u32, y: u32) -> mat4x4<f32> {
  return mat4x4<f32>(
    textureLoad(a, vec2<u32>(x, y)),
    textureLoad(a, vec2<u32>(x, y + 1u)),
    textureLoad(a, vec2<u32>(x, y + 2u)),
    textureLoad(a, vec2<u32>(x, y + 3u)),
  );
}

fn load_b(x: u32, y: u32) -> mat4x4<f32> {
  return mat4x4<f32>(
    textureLoad(b, vec2<u32>(x, y)),
    textureLoad(b, vec2<u32>(x, y + 1u)),
    textureLoad(b, vec2<u32>(x, y + 2u)),
    textureLoad(b, vec2<u32>(x, y + 3u)),
  );
}

// Four rows and eight columns of c. Unrolled: a variable index would move the sums to memory.
fn store(m: u32, n: u32, left: mat4x4<f32>, right: mat4x4<f32>) {
  let quad = n / 4u;
  store_quad(m, quad, left[0]);
  store_quad(m, quad + 1u, right[0]);
  store_quad(m + 1u, quad, left[1]);
  store_quad(m + 1u, quad + 1u, right[1]);
  store_quad(m + 2u, quad, left[2]);
  store_quad(m + 2u, quad + 1u, right[2]);
  store_quad(m + 3u, quad, left[3]);
  store_quad(m + 3u, quad + 1u, right[3]);
}

@compute @workgroup_size(8)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(local_invocation_id) lane: vec3<u32>,
) {
  let m = 16u * group.x;
  let n = 64u * group.y + 8u * lane.x;
  let mask = (1u << params.shift) - 1u;
  // Column r of a sum is row r of c, its components four columns of c.
  var c00 = mat4x4<f32>();
  var c01 = mat4x4<f32>();
  var c10 = mat4x4<f32>();
  var c11 = mat4x4<f32>();
  var c20 = mat4x4<f32>();
  var c21 = mat4x4<f32>();
  var c30 = mat4x4<f32>();
  var c31 = mat4x4<f32>();
  for (var t = 0u; t < params.texels; t++) {
    let x = t & mask;
    let band = t >> params.shift;
    let a_y = params.a_row + m + band * params.a_band;
    let b_y = n + band * params.b_band;
    let b0 = transpose(load_b(x, b_y));
    let b1 = transpose(load_b(x, b_y + 4u));
    let a0 = load_a(x, a_y);
    c00 += b0 * a0;
    c01 += b1 * a0;
    let a1 = load_a(x, a_y + 4u);
    c10 += b0 * a1;
    c11 += b1 * a1;
    let a2 = load_a(x, a_y + 8u);
    c20 += b0 * a2;
    c21 += b1 * a2;
    let a3 = load_a(x, a_y + 12u);
    c30 += b0 * a3;
    c31 += b1 * a3;
  }
  store(m, n, c00, c01);
  store(m + 4u, n, c10, c11);
  store(m + 8u, n, c20, c21);
  store(m + 12u, n, c30, c31);
}
