// The logits of enrolled characters, which the classifier was not trained on: crystal_eyes/recognizer/enrolled_logits.py.

import type { ExpectedPoints } from "./expectedPoints.ts";
import type { LineNoise } from "./lineNoise.ts";
import { lengthOf } from "./matrix.ts";

export interface Line {
  slope: number;
  intercept: number;
}

/** The logit of a character is the inner product of the head's scaled embedding with weight, plus bias. See also LineNoise. */
export interface Layer {
  weight: Float32Array;
  bias: number;
  lineBias: number; // in line art or gray
}

export class EnrolledLogits {
  /** expected: null where the bundle has none. */
  constructor(
    private readonly expected: ExpectedPoints | null,
    private readonly byCosine: Line,
    private readonly byPoint: Line,
    private readonly lineNoise: LineNoise | null = null,
  ) {}

  /** What layers take, and are made from, instead of the embedding of a head. */
  scaled(embedding: Float32Array): Float32Array {
    return this.expected ? this.expected.scaled(embedding) : embedding;
  }

  /** Of a character, from the embeddings of its heads. */
  layer(embeddings: Float32Array[]): Layer {
    const mean = meanOf(embeddings.map((one) => this.scaled(one)));
    if (!this.expected) {
      const length = lengthOf(mean);
      const bias = this.byCosine.intercept;
      return { weight: mean.map((value) => (this.byCosine.slope * value) / length), bias, lineBias: bias };
    }
    const { scale, ratios, center } = this.expected;
    const point = this.expected.coordinates(mean).map((value, place) => {
      const evidence = ratios[place]! * embeddings.length;
      return (value * evidence) / (evidence + 1);
    });
    const sums = this.expected.weight(point);
    const { slope, intercept } = this.byPoint;
    const weight = Float32Array.from(sums, (sum) => slope * scale * sum);
    const away = point.reduce((sum, value) => sum - value ** 2 / 2, 0);
    const bias = slope * scale * sums.reduce((sum, value, place) => sum - center[place]! * value, away) + intercept;
    const change = this.lineNoise ? this.lineNoise.biasChange(point, sums) : 0;
    return { weight, bias, lineBias: bias + slope * change };
  }
}

export function meanOf(embeddings: Float32Array[]): Float32Array {
  const mean = new Float32Array(embeddings[0]!.length);
  for (const one of embeddings) one.forEach((value, place) => (mean[place]! += value / embeddings.length));
  return mean;
}
