// The activation of a gate and its slope (Hendrycks & Gimpel 2016). Twins: gate_silu.wgsl and
// gate_gelu_tanh.wgsl, its approximation.
//   gelu(z) = z · Φ(z), Φ the normal distribution;  slope = Φ(z) + z · φ(z)
// With x = |z|, Φ(−x) = exp(−x²/2) · g(x): WGSL has no erf, and 1 + erf(z/√2) would lose all precision
// where z is large and negative. g, which is erfcx(x/√2)/2, is a polynomial in t = 1/(1 + 0.35x),
// fitted to a relative error of 3e-8 for x ≤ 14, and 3e-7 in float32.
struct Gate {
  value: vec4<f32>,
  slope: vec4<f32>,
}

const ONE_OVER_ROOT_TWO_PI = 0.3989422804014327;

fn activated(z: vec4<f32>) -> Gate {
  // At ±13, exp(−x²/2) is 2e-37: Φ is 0 or 1 to full precision, and nothing is denormal yet.
  let c = clamp(z, vec4<f32>(-13.0), vec4<f32>(13.0));
  let t = 1.0 / (1.0 + 0.35 * abs(c));
  var g = t * -0.029146677 + 0.14397524;
  g = t * g - 0.25572135;
  g = t * g + 0.15918197;
  g = t * g - 0.023114976;
  g = t * g + 0.10551006;
  g = t * g + 0.11983238;
  g = t * g + 0.13986193;
  g = t * (t * g + 0.13962141);
  let bell = exp(-0.5 * c * c);
  let tail = bell * g;
  let normal = select(tail, 1.0 - tail, c > vec4<f32>(0.0));
  return Gate(z * normal, normal + c * bell * ONE_OVER_ROOT_TWO_PI);
}
