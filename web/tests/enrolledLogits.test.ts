import { expect, test } from "vitest";
import { EnrolledLogits } from "../src/recognizer/enrolledLogits.ts";
import { ExpectedPoints } from "../src/recognizer/expectedPoints.ts";
import { Matrix } from "../src/recognizer/matrix.ts";

const HEADS = [Float32Array.of(1, 0), Float32Array.of(0.6, 0.8)];

const ROWS = [[2, 0], [0, 1], [0.5, 4], [0.1, 0.2]].map((row) => Float32Array.from(row)); // matrix, ratios, center
const STORED = Matrix.ofRows(ROWS, 2);

function logit({ weight, bias }: { weight: Float32Array; bias: number }, embedding: number[]): number {
  return embedding.reduce((sum, value, place) => sum + value * weight[place]!, bias);
}

test("without expected points, a line of the cosine to the mean", () => {
  const logits = new EnrolledLogits(null, { slope: 3, intercept: -1 }, { slope: 0, intercept: 0 });
  const length = Math.hypot(0.8, 0.4);
  expect(logit(logits.layer(HEADS), [0, 1])).toBeCloseTo((3 * 0.4) / length - 1, 5);
});

test("with them, how much nearer to the character's point than to the center a head is; more heads move it further", () => {
  const logits = new EnrolledLogits(new ExpectedPoints(STORED, false), { slope: 0, intercept: 0 }, { slope: 5, intercept: 0.5 });
  const point = [2 * 0.7 * (1 / 2), 0.2 * (8 / 9)]; // of the mean (0.8, 0.4) of two heads
  const [x, y] = [2 * (0.3 - 0.1), 0.9 - 0.2];
  const expected = (x * point[0]! + y * point[1]! - (point[0]! ** 2 + point[1]! ** 2) / 2) / 25;
  expect(logit(logits.layer(HEADS), [0.3, 0.9])).toBeCloseTo(5 * expected + 0.5, 5);
  const [one, twice] = [HEADS, [...HEADS, ...HEADS]].map((heads) => logit(logits.layer(heads), [0.8, 0.4]));
  expect(twice!).toBeGreaterThan(one!);
});

test("heads that are brought to one length first keep their direction from the center", () => {
  const expected = new ExpectedPoints(STORED, true);
  const length = Math.sqrt(2 + 0.5 + 4);
  for (const [x, y] of [[0.3, 0.9], [-1, 0.21], [0.11, 0.2]] as const) {
    const found = expected.scaled(Float32Array.of(x, y));
    const factor = length / Math.hypot(2 * (x - 0.1), y - 0.2);
    expect(found[0]).toBeCloseTo(0.1 + (x - 0.1) * factor, 4);
    expect(found[1]).toBeCloseTo(0.2 + (y - 0.2) * factor, 4);
  }
  expect(expected.scaled(Float32Array.of(0.1, 0.2)).every(Number.isFinite)).toBe(true);
  // a character of one head is nearest to where that is, however far from the center the head was
  const logits = new EnrolledLogits(expected, { slope: 0, intercept: 0 }, { slope: 1, intercept: 0 });
  const [near, far] = [[0.2, 0.3], [1.1, 1.2]].map((head) => logits.layer([Float32Array.from(head)]));
  expect(near!.bias).toBeCloseTo(far!.bias, 5);
  near!.weight.forEach((value, place) => expect(value).toBeCloseTo(far!.weight[place]!, 5));
});
