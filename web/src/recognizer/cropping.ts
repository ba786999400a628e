// The one rule by which a head is cropped: crystal_eyes/data/cropping.py.

import type { Box } from "./boxes.ts";
import { clamp, round } from "./numbers.ts";
import { emptyPixels, type Pixels } from "./pixels.ts";

export const MARGIN = 0.1; // of the longer side of the head's box, on each side

/** A square around the center of the box, its side 1.2 times the box's longer one. Beyond the border the edge is repeated. */
export function cropHead(picture: Pixels, box: Box): Pixels {
  const [left, top, right, bottom] = box;
  const side = Math.max(1, round(Math.max(right - left, bottom - top) * (1 + 2 * MARGIN)));
  const x = round((left + right - side) / 2);
  const y = round((top + bottom - side) / 2);
  const out = emptyPixels(side, side);
  for (let row = 0, place = 0; row < side; row++) {
    const start = clamp(y + row, 0, picture.height - 1) * picture.width;
    for (let column = 0; column < side; column++) {
      const from = (start + clamp(x + column, 0, picture.width - 1)) * 3;
      out.data[place++] = picture.data[from]!;
      out.data[place++] = picture.data[from + 1]!;
      out.data[place++] = picture.data[from + 2]!;
    }
  }
  return out;
}
