// How heads in line art or gray vary around the point of their character: crystal_eyes/classifiers/line_noise.py.

import type { Matrix } from "./matrix.ts";

export const SCALE = 1 / 25; // of crystal_eyes/classifiers/expected_points.py

export class LineNoise {
  private readonly columns: number;

  /** expected: see EnrolledLogits; matrix: as line.npy has it. */
  constructor(
    private readonly expected: Matrix,
    private readonly matrix: Matrix,
  ) {
    this.columns = matrix.columns;
  }

  /** What a layer of weights takes instead of the embedding of a head in line art or gray. */
  adapted(embedding: Float32Array): Float32Array {
    const center = this.expected.row(this.columns + 1);
    const apart = Float64Array.from(embedding, (value, place) => value - center[place]!);
    const mapped = this.times(this.times(apart, this.expected), this.matrix);
    return Float32Array.from(center, (value, place) => value + mapped[place]!);
  }

  /** What to add to the bias of a character for such heads. point: where it is expected; weight: of its layer, not scaled. */
  biasChange(point: Float64Array, weight: Float64Array): number {
    const mapped = this.matrix.cosines(Float32Array.from(weight));
    return (SCALE / 2) * point.reduce((sum, value, place) => sum + value * (value - mapped[place]!), 0);
  }

  /** A row of numbers times a square matrix: the first rows of what is given. */
  private times(values: Float64Array, matrix: Matrix): Float64Array {
    const out = new Float64Array(this.columns);
    values.forEach((value, number) => {
      const row = matrix.row(number);
      for (let column = 0; column < out.length; column++) out[column]! += value * row[column]!;
    });
    return out;
  }
}
