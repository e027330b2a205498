/** PCG4D (Jarzynski & Olano 2020) and the transform of Box & Muller in float64. */

/** Four words of 32 bits for a key and a counter. */
export function randomBits(seed: number, step: number, tensor: number, element: number): number[] {
  let [x, y, z, w] = [element, tensor, step, seed].map((value) =>
    (Math.imul(value, 1664525) + 1013904223) >>> 0
  );
  const round = () => {
    x = (x + Math.imul(y, w)) >>> 0;
    y = (y + Math.imul(z, x)) >>> 0;
    z = (z + Math.imul(x, y)) >>> 0;
    w = (w + Math.imul(y, z)) >>> 0;
  };
  round();
  [x, y, z, w] = [x, y, z, w].map((value) => (value ^ (value >>> 16)) >>> 0);
  round();
  return [x, y, z, w];
}

/** Four numbers in [0, 1). */
export function randomUniform(seed: number, step: number, tensor: number, element: number) {
  return randomBits(seed, step, tensor, element).map((bits) => (bits >>> 8) / 2 ** 24);
}

/** Four normal numbers for a counter. */
export function randomNormalQuad(seed: number, step: number, tensor: number, element: number) {
  const u = randomUniform(seed, step, tensor, element);
  const pair = (u1: number, u2: number) => {
    const radius = Math.sqrt(-2 * Math.log(1 - u1)), angle = 2 * Math.PI * u2;
    return [radius * Math.cos(angle), radius * Math.sin(angle)];
  };
  return [...pair(u[0], u[1]), ...pair(u[2], u[3])];
}

/** The logical elements of a (rows, columns) tensor; the counter runs over the padded rows. */
export function randomNormal(
  [rows, columns]: readonly [number, number],
  { std, seed, tensor }: { std: number; seed: number; tensor: number },
): Float64Array {
  const stride = Math.ceil(columns / 8) * 8;
  const values = new Float64Array(rows * columns);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column += 4) {
      const quad = (row * stride + column) / 4;
      const drawn = randomNormalQuad(seed, 0xffffffff, tensor, quad);
      for (let i = 0; i < 4 && column + i < columns; i++) {
        values[row * columns + column + i] = std * drawn[i];
      }
    }
  }
  return values;
}
