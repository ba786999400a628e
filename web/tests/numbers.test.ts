import { expect, test } from "vitest";
import { largest, round, roundTo, searchSorted } from "../src/recognizer/numbers.ts";
import { fromHalfBits, halfBits } from "../src/recognizer/packing.ts";

test("halves are rounded to even", () => {
  expect([0.5, 1.5, 2.5, -0.5, -1.5, 2.4, 2.6].map(round).map((one) => one + 0)).toEqual([0, 2, 2, 0, -2, 2, 3]);
  expect(roundTo(1.234565, 5)).toBeCloseTo(1.23456, 9);
});

test("a sorted list is searched from both sides", () => {
  const sorted = [1, 2, 2, 3];
  expect([0, 2, 4].map((value) => searchSorted(sorted, value, "left"))).toEqual([0, 1, 4]);
  expect([0, 2, 4].map((value) => searchSorted(sorted, value, "right"))).toEqual([0, 3, 4]);
});

test("the largest values come first, of equal ones the first place", () => {
  expect(largest([1, 5, 3, 5, 4], 3)).toEqual([1, 3, 4]);
  expect(largest([1], 3)).toEqual([0]);
});

test("every 16-bit number is read and written again, and 32-bit ones are rounded to the nearest", () => {
  const wrong: number[] = []; // an expectation for each would take longer than the numbers
  for (let half = 0; half < 0x7c00; half++) {
    const value = fromHalfBits(half);
    const step = fromHalfBits(half + 1) - value;
    const isNearest =
      half === 0x7bff ||
      (halfBits(value + step * 0.49) === half &&
        halfBits(value + step * 0.51) === half + 1 &&
        halfBits(value + step / 2) === half + (half & 1));
    if (!isNearest || halfBits(value) !== half || halfBits(-value) !== (half | 0x8000)) wrong.push(half);
  }
  expect(wrong).toEqual([]);
});
