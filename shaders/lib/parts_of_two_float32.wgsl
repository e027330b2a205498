// A row in parts of two float32 elements: half a head of 20 or 100 is not a multiple of four.
alias Part = vec2<f32>;
alias Values = vec2<f32>;

fn unpack_part(part: Part) -> Values {
  return part;
}

fn pack_part(values: Values) -> Part {
  return values;
}

fn product(a: Values, b: Values) -> Values {
  return a * b;
}
