// A perceptual hash, and whether a picture has color: crystal_eyes/image_stats.py.

import { emptyPixels, type Pixels } from "./pixels.ts";
import { BOX, LANCZOS, resize } from "./resampling.ts";

/** Whether a picture is line art or grayscale: at most 2% of its thumbnail's pixels have a visible hue. */
export function isMonochrome(picture: Pixels): boolean {
  const { data } = resize(picture, 32, 32, BOX);
  const hues = new Float64Array(data.length / 3);
  for (let place = 0; place < hues.length; place++) {
    const [red, green, blue] = [data[place * 3]!, data[place * 3 + 1]!, data[place * 3 + 2]!];
    hues[place] = Math.max(red, green, blue) - Math.min(red, green, blue);
  }
  hues.sort();
  const at = 0.98 * (hues.length - 1);
  const below = hues[Math.floor(at)]!;
  return below + (hues[Math.ceil(at)]! - below) * (at - Math.floor(at)) < 16;
}

const HASH_SIDE = 16; // 16 x 16 comparisons: 256 bits

/** 32 bytes: a bit for each cell of a 17 x 16 gray thumbnail, brighter than its left neighbor; the first is the highest. */
export function differenceHash(picture: Pixels): Uint8Array {
  const { data } = resize(gray(picture), HASH_SIDE + 1, HASH_SIDE, LANCZOS);
  const out = new Uint8Array((HASH_SIDE * HASH_SIDE) / 8);
  for (let y = 0, bit = 0; y < HASH_SIDE; y++) {
    for (let x = 0, at = y * (HASH_SIDE + 1) * 3; x < HASH_SIDE; x++, bit++, at += 3) {
      if (data[at + 3]! > data[at]!) out[bit >> 3]! |= 128 >> (bit & 7);
    }
  }
  return out;
}

/** The difference hashes of a picture and of its mirror image. */
export function hashesOfSides(picture: Pixels): Uint8Array[] {
  return [differenceHash(picture), differenceHash(mirrored(picture))];
}

/** Whether a picture with these hashesOfSides, or its mirror image, is the one with the hash `other`: it differs by few bits. */
export function isDuplicate(sides: Uint8Array[], other: Uint8Array, bits: number): boolean {
  return sides.some((side) => side.reduce((sum, byte, place) => sum + bitCount(byte ^ other[place]!), 0) <= bits);
}

function gray(picture: Pixels): Pixels {
  const out = emptyPixels(picture.width, picture.height);
  const { data } = picture;
  for (let at = 0; at < data.length; at += 3) {
    // as Pillow converts to L
    out.data.fill((data[at]! * 19595 + data[at + 1]! * 38470 + data[at + 2]! * 7471 + 0x8000) >> 16, at, at + 3);
  }
  return out;
}

function mirrored({ width, height, data }: Pixels): Pixels {
  const out = emptyPixels(width, height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const from = (y * width + x) * 3;
      out.data.set(data.subarray(from, from + 3), (y * width + width - 1 - x) * 3);
    }
  }
  return out;
}

function bitCount(byte: number): number {
  let count = 0;
  for (let rest = byte; rest; rest &= rest - 1) count++;
  return count;
}
