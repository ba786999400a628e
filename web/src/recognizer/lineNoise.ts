// How heads in line art or gray vary around the point of their character: crystal_eyes/classifiers/line_noise.py.

import type { ExpectedPoints } from "./expectedPoints.ts";
import type { Matrix } from "./matrix.ts";

export class LineNoise {
  /** matrix: as line.npy has it. */
  constructor(
    private readonly expected: ExpectedPoints,
    private readonly matrix: Matrix,
  ) {}

  /** What a layer of weights takes instead of the scaled embedding of a head in line art or gray. */
  adapted(scaled: Float32Array): Float32Array {
    const mapped = new Float64Array(scaled.length);
    this.expected.coordinates(scaled).forEach((value, number) => {
      const row = this.matrix.row(number);
      for (let column = 0; column < mapped.length; column++) mapped[column]! += value * row[column]!;
    });
    return this.expected.center.map((value, place) => value + mapped[place]!);
  }

  /** What to add to the bias of a character for such heads. point: where it is expected; weight: of its layer, not multiplied
   * by scale. */
  biasChange(point: Float64Array, weight: Float64Array): number {
    const mapped = this.matrix.cosines(Float32Array.from(weight));
    return (this.expected.scale / 2) * point.reduce((sum, value, place) => sum + value * (value - mapped[place]!), 0);
  }
}
