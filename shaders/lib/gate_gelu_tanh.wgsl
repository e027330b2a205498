// The activation of a gate and its slope (Hendrycks & Gimpel 2016). Twin: gate_silu.wgsl.
//   gelu(z) = z/2 · (1 + tanh(u)),  u = √(2/π) · (z + 0.044715 z³)
// Computed as z · σ(2u), which is equal: tanh overflows on some drivers, and 1 + tanh(u) loses all
// precision where u is large and negative.
struct Gate {
  value: vec4<f32>,
  slope: vec4<f32>,
}

const TWICE_ROOT_TWO_OVER_PI = 1.5957691216057308;

fn activated(z: vec4<f32>) -> Gate {
  // At ±10, 2u is ±87.3: σ is 1 or 1e-38 to full precision, and exp does not overflow yet.
  let c = clamp(z, vec4<f32>(-10.0), vec4<f32>(10.0));
  let cubic = 0.044715 * c * c;
  let sigmoid = 1.0 / (1.0 + exp(-TWICE_ROOT_TWO_OVER_PI * c * (1.0 + cubic)));
  let steep = TWICE_ROOT_TWO_OVER_PI * (1.0 + 3.0 * cubic);   // d(2u)/dz
  return Gate(z * sigmoid, sigmoid * (1.0 + c * steep * (1.0 - sigmoid)));
}
