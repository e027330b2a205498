// A row in parts of eight elements, in either format. See parts_of_four.wgsl and parts_of_two_*.wgsl
// for the exceptions.
// @use bfloat16 | float32
alias Part = Eight;
alias Values = mat2x4<f32>;

fn unpack_part(part: Part) -> Values {
  return mat2x4<f32>(unpack_low(part), unpack_high(part));
}

fn pack_part(values: Values) -> Part {
  return pack_eight(values[0], values[1]);
}

fn product(a: Values, b: Values) -> Values {
  return mat2x4<f32>(a[0] * b[0], a[1] * b[1]);
}
