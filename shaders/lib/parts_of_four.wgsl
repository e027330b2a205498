// A row in parts of four elements, in either format. See parts_of_two_*.wgsl for the exceptions.
// @use bfloat16 | float32
alias Part = Quad;
alias Values = vec4<f32>;

fn unpack_part(part: Part) -> Values {
  return unpack(part);
}

fn pack_part(values: Values) -> Part {
  return pack(values);
}
