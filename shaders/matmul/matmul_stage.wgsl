// target[r][k] = op(source)[r][k] as float32, four k to a texel, zero where k lies beyond the end.
//   op(source) = source or its transpose, whose rows are the source's columns.
// A software adapter reads a storage texture up to eight times faster than a buffer, and a matmul
// reads each element many times, so both operands are dequantised, transposed and converted once,
// here. The octet library declares the source. A texture has 2^shift texels per row; a longer k
// continues in the next band of rows.
// @use octet_float32 | octet_bfloat16 | octet_int8 | octet_int4 | octet_nf4
// @use fours
override TRANSPOSED: bool;
override SIDE: u32;   // threads per workgroup in each direction

struct Params {
  rows: u32,          // of the source, from the start of the binding
  columns: u32,       // of the source, from first_column_octet on
  row_octets: u32,    // a row's stride
  first_column_octet: u32,
  first_octet: u32,
  group_octets: u32,
  target_row: u32,    // destination of the first row of op(source)
  target_texel: u32,  // destination of its first four k
  shift: u32,
  band: u32,          // rows per band
}

@group(0) @binding(2) var target_texels: texture_storage_2d<rgba32float, write>;   // op(source)
@group(1) @binding(0) var<uniform> params: Params;

fn store(row: u32, texel: u32, values: vec4<f32>) {
  let t = params.target_texel + texel;
  let x = t & ((1u << params.shift) - 1u);
  let y = params.target_row + row + (t >> params.shift) * params.band;
  textureStore(target_texels, vec2<u32>(x, y), values);
}

fn keep(values: vec4<f32>, first: u32, end: u32) -> vec4<f32> {
  let k = four_from(first);
  return select(vec4<f32>(0.0), values, k < vec4<u32>(end));
}

fn row_octet(row: u32, column: u32) -> Octet {
  if (row >= params.rows) { return Octet(vec4<f32>(0.0), vec4<f32>(0.0)); }
  return octet(row * params.row_octets + params.first_column_octet + column);
}

// A thread moves one octet, or if transposed four octets from consecutive rows, since a texel holds
// four k. Both cover k up to a multiple of 8.
@compute @workgroup_size(SIDE, SIDE)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (8u * id.x >= params.columns) { return; }
  if (TRANSPOSED) {
    let k = 4u * id.y;
    if (k >= (params.rows + 7u) / 8u * 8u) { return; }
    let a = row_octet(k, id.x);
    let b = row_octet(k + 1u, id.x);
    let c = row_octet(k + 2u, id.x);
    let d = row_octet(k + 3u, id.x);
    let low = transpose(mat4x4<f32>(a.low, b.low, c.low, d.low));
    let high = transpose(mat4x4<f32>(a.high, b.high, c.high, d.high));
    store(8u * id.x, id.y, low[0]);
    store(8u * id.x + 1u, id.y, low[1]);
    store(8u * id.x + 2u, id.y, low[2]);
    store(8u * id.x + 3u, id.y, low[3]);
    store(8u * id.x + 4u, id.y, high[0]);
    store(8u * id.x + 5u, id.y, high[1]);
    store(8u * id.x + 6u, id.y, high[2]);
    store(8u * id.x + 7u, id.y, high[3]);
  } else {
    if (id.y >= params.rows) { return; }
    let values = row_octet(id.y, id.x);
    let k = 8u * id.x;
    store(id.y, 2u * id.x, keep(values.low, k, params.columns));
    store(id.y, 2u * id.x + 1u, keep(values.high, k + 4u, params.columns));
  }
}
