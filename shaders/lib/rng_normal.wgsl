// Four normal numbers per counter: Box & Muller 1958. From two uniform numbers u1 in (0, 1] and u2
// in [0, 1): sqrt(−2 ln u1) · (cos 2πu2, sin 2πu2). At most 5.77.
// @use rng
fn random_normal(seed: u32, step: u32, tensor: u32, element: u32) -> vec4<f32> {
  let u = random_uniform(seed, step, tensor, element);
  let radius = sqrt(-2.0 * log(1.0 - u.xz));
  let angle = 6.283185307179586 * u.yw;
  return vec4<f32>(
    radius.x * cos(angle.x), radius.x * sin(angle.x),
    radius.y * cos(angle.y), radius.y * sin(angle.y),
  );
}
