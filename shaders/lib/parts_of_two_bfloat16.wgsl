// A row in parts of two bfloat16 elements: half a head of 20 or 100 is not a multiple of four.
// @use bfloat16
alias Part = u32;
alias Values = vec2<f32>;

fn unpack_part(part: Part) -> Values {
  return unpack(vec2<u32>(part, 0u)).xy;
}

fn pack_part(values: Values) -> Part {
  return pack(vec4<f32>(values, 0.0, 0.0)).x;
}

fn product(a: Values, b: Values) -> Values {
  return a * b;
}
