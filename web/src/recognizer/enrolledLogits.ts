// The logits of enrolled characters, which the classifier was not trained on: crystal_eyes/recognizer/enrolled_logits.py.

import { SCALE, type LineNoise } from "./lineNoise.ts";
import type { Matrix } from "./matrix.ts";

export interface Line {
  slope: number;
  intercept: number;
}

/** The logit of a character is the inner product of the head's embedding with weight, plus bias. See also LineNoise. */
export interface Layer {
  weight: Float32Array;
  bias: number;
  lineBias: number; // in line art or gray
}

export class EnrolledLogits {
  /** expected: rows of a matrix, of ratios and of a center, as expected.npy has them; no rows where the bundle has none. */
  constructor(
    private readonly expected: Matrix,
    private readonly byCosine: Line,
    private readonly byPoint: Line,
    private readonly lineNoise: LineNoise | null = null,
  ) {}

  /** Of a character, from the embeddings of its heads. */
  layer(embeddings: Float32Array[]): Layer {
    const mean = meanOf(embeddings);
    const columns = mean.length;
    if (!this.expected.rows) {
      const length = lengthOf(mean);
      const bias = this.byCosine.intercept;
      return { weight: mean.map((value) => (this.byCosine.slope * value) / length), bias, lineBias: bias };
    }
    const ratios = this.expected.row(columns);
    const center = this.expected.row(columns + 1);
    const point = new Float64Array(columns);
    for (let row = 0; row < columns; row++) {
      const directions = this.expected.row(row);
      const apart = mean[row]! - center[row]!;
      for (let column = 0; column < columns; column++) point[column]! += apart * directions[column]!;
    }
    let bias = 0;
    for (let column = 0; column < columns; column++) {
      const evidence = ratios[column]! * embeddings.length;
      point[column]! *= evidence / (evidence + 1);
      bias -= point[column]! ** 2 / 2;
    }
    const sums = new Float64Array(columns);
    for (let row = 0; row < columns; row++) {
      const directions = this.expected.row(row);
      let sum = 0;
      for (let column = 0; column < columns; column++) sum += point[column]! * directions[column]!;
      sums[row] = sum;
      bias -= center[row]! * sum;
    }
    const { slope, intercept } = this.byPoint;
    const weight = Float32Array.from(sums, (sum) => slope * SCALE * sum);
    const change = this.lineNoise ? this.lineNoise.biasChange(point, sums) : 0;
    bias = slope * SCALE * bias + intercept;
    return { weight, bias, lineBias: bias + slope * change };
  }
}

export function meanOf(embeddings: Float32Array[]): Float32Array {
  const mean = new Float32Array(embeddings[0]!.length);
  for (const one of embeddings) one.forEach((value, place) => (mean[place]! += value / embeddings.length));
  return mean;
}

export function lengthOf(vector: Float32Array): number {
  return Math.max(1e-12, Math.hypot(...vector));
}
