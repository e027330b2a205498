// A row in parts of four elements, in either format: half a head of 24 or 40 is not a multiple of
// eight.
// @use bfloat16 | float32
alias Part = Quad;
alias Values = vec4<f32>;

fn unpack_part(part: Part) -> Values {
  return unpack(part);
}

fn pack_part(values: Values) -> Part {
  return pack(values);
}

fn product(a: Values, b: Values) -> Values {
  return a * b;
}
