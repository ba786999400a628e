// Bilinear resizing to the same pixels as OpenCV, which training of the detector uses: crystal_eyes/detector/resizing.py.

import { clamp, round } from "./numbers.ts";
import { emptyPixels, type Pixels } from "./pixels.ts";

interface Taps {
  first: Int32Array;
  second: Int32Array;
  weightFirst: Int32Array; // the two weights sum to 2048
  weightSecond: Int32Array;
}

export function resizeBilinear(picture: Pixels, width: number, height: number): Pixels {
  const columns = taps(picture.width, width);
  const rows = taps(picture.height, height);
  const out = emptyPixels(width, height);
  const cache: { row: number; values: Int32Array }[] = [
    { row: -1, values: new Int32Array(width * 3) },
    { row: -1, values: new Int32Array(width * 3) },
  ];
  const across = (row: number, other: number): Int32Array => {
    const known = cache.find((one) => one.row === row);
    if (known) return known.values;
    const free = cache.find((one) => one.row !== other)!;
    free.row = row;
    resizeRow(picture, row, columns, free.values);
    return free.values;
  };
  for (let y = 0, place = 0; y < height; y++) {
    const above = across(rows.first[y]!, rows.second[y]!);
    const below = across(rows.second[y]!, rows.first[y]!);
    const weightAbove = rows.weightFirst[y]!;
    const weightBelow = rows.weightSecond[y]!;
    for (let x = 0; x < width * 3; x++) {
      const sum = ((above[x]! * weightAbove) >> 16) + ((below[x]! * weightBelow) >> 16);
      out.data[place++] = (sum + 2) >> 2;
    }
  }
  return out;
}

function resizeRow(picture: Pixels, row: number, columns: Taps, out: Int32Array): void {
  const start = row * picture.width * 3;
  const { data } = picture;
  for (let x = 0, place = 0; x < columns.first.length; x++) {
    const left = start + columns.first[x]! * 3;
    const right = start + columns.second[x]! * 3;
    const weightLeft = columns.weightFirst[x]!;
    const weightRight = columns.weightSecond[x]!;
    for (let channel = 0; channel < 3; channel++) {
      out[place++] = (data[left + channel]! * weightLeft + data[right + channel]! * weightRight) >> 4;
    }
  }
}

function taps(source: number, target: number): Taps {
  const [first, second, weightFirst, weightSecond] = [0, 1, 2, 3].map(() => new Int32Array(target)) as [
    Int32Array, Int32Array, Int32Array, Int32Array,
  ];
  for (let place = 0; place < target; place++) {
    const center = Math.fround((place + 0.5) * (source / target) - 0.5);
    const floor = Math.floor(center);
    const fraction = floor < 0 || floor >= source - 1 ? 0 : center - floor;
    first[place] = clamp(floor, 0, source - 1);
    second[place] = Math.min(first[place]! + 1, source - 1);
    weightFirst[place] = round((1 - fraction) * 2048);
    weightSecond[place] = round(fraction * 2048);
  }
  return { first, second, weightFirst, weightSecond };
}
