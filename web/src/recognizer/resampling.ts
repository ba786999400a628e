// Antialiased resizing to the same bytes as Pillow's Image.resize (libImaging/Resample.c): heads are resized with it, and a
// slightly different kernel costs 2-3 points of MAP@R.

import { emptyPixels, type Pixels } from "./pixels.ts";

export interface Kernel {
  radius: number; // in pixels of the coarser side
  value(distance: number): number;
}

export const BICUBIC: Kernel = {
  radius: 2,
  value(distance) {
    const x = Math.abs(distance);
    if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
    return x < 2 ? (((x - 5) * x + 8) * x - 4) * -0.5 : 0;
  },
};
export const LANCZOS: Kernel = {
  radius: 3,
  value: (x) => (x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0),
};
export const BOX: Kernel = {
  radius: 0.5,
  value: (distance) => (distance > -0.5 && distance <= 0.5 ? 1 : 0),
};

const PRECISION = 22; // bits of the weights after the point: 32 - 8 of a channel - 2 for sums beyond it

function sinc(x: number): number {
  return x === 0 ? 1 : Math.sin(x * Math.PI) / (x * Math.PI);
}

interface Weights {
  starts: Int32Array; // by target pixel: its first source pixel
  counts: Int32Array; // its number of source pixels
  size: number; // weights stored per target pixel
  values: Int32Array; // target x size
}

export function resize(picture: Pixels, width: number, height: number, kernel: Kernel): Pixels {
  const across = width === picture.width ? picture : resizeRows(picture, width, weights(picture.width, width, kernel));
  return height === picture.height ? across : resizeColumns(across, height, weights(picture.height, height, kernel));
}

function weights(source: number, target: number, kernel: Kernel): Weights {
  const scale = source / target;
  const filterScale = Math.max(scale, 1);
  const support = kernel.radius * filterScale;
  const size = Math.ceil(support) * 2 + 1;
  const starts = new Int32Array(target);
  const counts = new Int32Array(target);
  const values = new Int32Array(target * size);
  const step = 1 / filterScale;
  for (let place = 0; place < target; place++) {
    const center = (place + 0.5) * scale;
    const first = Math.max(0, Math.trunc(center - support + 0.5));
    const count = Math.min(source, Math.trunc(center + support + 0.5)) - first;
    const exact: number[] = [];
    let sum = 0;
    for (let x = 0; x < count; x++) {
      const value = kernel.value((x + first - center + 0.5) * step);
      exact.push(value);
      sum += value;
    }
    starts[place] = first;
    counts[place] = count;
    exact.forEach((value, x) => {
      const share = sum === 0 ? value : value / sum;
      values[place * size + x] = Math.trunc((share < 0 ? -0.5 : 0.5) + share * (1 << PRECISION));
    });
  }
  return { starts, counts, size, values };
}

function resizeRows(picture: Pixels, width: number, by: Weights): Pixels {
  const out = emptyPixels(width, picture.height);
  const { data } = picture;
  for (let y = 0, place = 0; y < picture.height; y++) {
    const row = y * picture.width * 3;
    for (let x = 0; x < width; x++) {
      let red = 1 << (PRECISION - 1);
      let green = red;
      let blue = red;
      let from = row + by.starts[x]! * 3;
      const last = x * by.size + by.counts[x]!;
      for (let at = x * by.size; at < last; at++, from += 3) {
        const weight = by.values[at]!;
        red += data[from]! * weight;
        green += data[from + 1]! * weight;
        blue += data[from + 2]! * weight;
      }
      out.data[place++] = channel(red);
      out.data[place++] = channel(green);
      out.data[place++] = channel(blue);
    }
  }
  return out;
}

function resizeColumns(picture: Pixels, height: number, by: Weights): Pixels {
  const out = emptyPixels(picture.width, height);
  const row = picture.width * 3;
  const sums = new Int32Array(row);
  for (let y = 0; y < height; y++) {
    sums.fill(1 << (PRECISION - 1));
    for (let number = 0; number < by.counts[y]!; number++) {
      const weight = by.values[y * by.size + number]!;
      const from = (by.starts[y]! + number) * row;
      for (let x = 0; x < row; x++) sums[x]! += picture.data[from + x]! * weight;
    }
    for (let x = 0; x < row; x++) out.data[y * row + x] = channel(sums[x]!);
  }
  return out;
}

function channel(sum: number): number {
  const value = sum >> PRECISION;
  return value < 0 ? 0 : value > 255 ? 255 : value;
}
