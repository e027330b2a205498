// matrix = alpha · factor · matrix, with a factor for each row, for each column, or one for all; eight
// elements per thread.
override WORKGROUP_SIZE: u32;
override BY_COLUMNS: bool;

struct Params {
  octets: u32,        // of this range
  first_octet: u32,   // of this range, in the whole matrix
  row_octets: u32,    // row stride
  row_step: u32,      // 1: a factor for each row; 0: the first for all
  alpha: f32,
}

@group(0) @binding(0) var<storage, read_write> matrix: array<mat2x4<f32>>;   // (R, C)
@group(0) @binding(1) var<storage, read> factors: array<mat2x4<f32>>;        // (R), (C) or (1)
@group(1) @binding(0) var<uniform> params: Params;

fn scaled(values: mat2x4<f32>, place: u32, p: Params) -> mat2x4<f32> {
  if (BY_COLUMNS) {
    let factor = factors[place % p.row_octets];
    return mat2x4<f32>(p.alpha * factor[0] * values[0], p.alpha * factor[1] * values[1]);
  }
  let row = place / p.row_octets * p.row_step;
  return p.alpha * factors[row / 8u][row / 4u % 2u][row % 4u] * values;
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  // First of all: a processor loads a parameter once for all threads only outside of branches.
  let p = params;
  if (id.x >= p.octets) { return; }
  matrix[id.x] = scaled(matrix[id.x], p.first_octet + id.x, p);
}
