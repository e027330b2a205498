// The constants of a quantisation group in one word: the float32 of its scale, whose lowest bits, as
// many as a code has, are the zero point. The scale is the nearest such number, so that a code's step
// is exact to 2^-16 (INT8) or 2^-20 (INT4), and reading it takes one mask. To the nearest and not
// upwards: a weight that is requantised at every step must not grow. What the range may lack of a
// group's extremes for that is 255 · 2^-16 of a step, less than what rounding the zero point takes.
fn scale_of(constants: u32) -> f32 {
  return bitcast<f32>(constants);
}

// `levels` is the greatest code. Processors convert signed integers in one instruction.
fn zero_of(constants: u32, levels: u32) -> f32 {
  return f32(i32(constants & levels));
}

fn group_word(scale: f32, zero: f32, levels: u32) -> u32 {
  let code = u32(zero);
  // The multiple of levels + 1 that is nearest to the scale's bits without the code; with it, the
  // nearest number that ends in the code.
  return ((bitcast<u32>(scale) - code + (levels + 1u) / 2u) & ~levels) | code;
}
