// The epilogue of every matmul: c = alpha · sum [+ c] [+ residual], four columns of a row at a
// time, in the format of lib/float32.wgsl or lib/bfloat16.wgsl. The kernel's Params begin with
// these fields:
//   rows, columns (of the block), row_quads (c's stride), first_quad, alpha
// The flags are constants, because a software adapter runs both sides of a branch and masks one.
// @use bfloat16 | float32
// @use fours
override ACCUMULATE: bool;
override RESIDUAL: bool;

@group(0) @binding(4) var<storage, read> residual: array<Quad>;       // (M, N)
@group(0) @binding(5) var<storage, read_write> c: array<Quad>;        // (M, N)

// A quad belongs to one thread, so two bfloat16 in a word never race. Columns past the end of a row
// are its padding and stay zero.
fn store_quad(row: u32, quad: u32, sum: vec4<f32>) { store_quad_from(0u, row, quad, sum); }

// The same in one of several matrices in c's binding, which begins at a row of it.
fn store_quad_from(first_row: u32, row: u32, quad: u32, sum: vec4<f32>) {
  if (row >= params.rows || 4u * quad >= (params.columns + 7u) / 8u * 8u) { return; }
  let index = (first_row + row) * params.row_quads + params.first_quad + quad;
  var values = params.alpha * sum;
  if (ACCUMULATE) { values += unpack(c[index]); }
  if (RESIDUAL) { values += unpack(residual[index]); }
  let columns = four_from(4u * quad);
  c[index] = pack(select(vec4<f32>(0.0), values, columns < vec4<u32>(params.columns)));
}
