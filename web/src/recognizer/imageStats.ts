// Whether a picture has color: crystal_eyes/image_stats.py.

import type { Pixels } from "./pixels.ts";
import { BOX, resize } from "./resampling.ts";

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
