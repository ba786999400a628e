// Where the point of a character is expected: crystal_eyes/classifiers/expected_points.py.

import { lengthOf, Matrix } from "./matrix.ts";

export class ExpectedPoints {
  readonly scale: number; // of logits
  readonly center: Float32Array;
  readonly ratios: Float32Array;
  private readonly columns: number;
  private readonly length: number;

  /** stored: rows of a matrix, of ratios and of a center, as expected.npy has them; oneLength: see scaled. */
  constructor(
    private readonly stored: Matrix,
    private readonly oneLength: boolean,
  ) {
    this.columns = stored.columns;
    this.scale = oneLength ? 1 / 20 : 1 / 25;
    this.ratios = stored.row(this.columns);
    this.center = stored.row(this.columns + 1);
    this.length = Math.sqrt(this.ratios.reduce((sum, ratio) => sum + 1 + ratio, 0));
  }

  /** What layers take, and are made from, instead of the embedding of a head. */
  scaled(embedding: Float32Array): Float32Array {
    if (!this.oneLength) return embedding;
    const factor = this.length / lengthOf(this.coordinates(embedding));
    return embedding.map((value, place) => this.center[place]! + (value - this.center[place]!) * factor);
  }

  coordinates(embedding: Float32Array): Float64Array {
    const apart = Float64Array.from(embedding, (value, place) => value - this.center[place]!);
    const out = new Float64Array(this.columns);
    apart.forEach((value, number) => {
      const row = this.stored.row(number);
      for (let column = 0; column < out.length; column++) out[column]! += value * row[column]!;
    });
    return out;
  }

  /** Coordinates of a point, as what an embedding is multiplied by. */
  weight(point: Float64Array): Float64Array {
    return Float64Array.from({ length: this.columns }, (_, number) => {
      const row = this.stored.row(number);
      return point.reduce((sum, value, column) => sum + value * row[column]!, 0);
    });
  }
}
