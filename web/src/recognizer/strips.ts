// Strips, panoramas and long pages, which are searched in overlapping windows: crystal_eyes/detector/strips.py.

import { area, intersection, iou, type Box } from "./boxes.ts";
import { round } from "./numbers.ts";

const MAX_ASPECT_RATIO = 3;
const WINDOW = 1.8; // lengths of a window and of its overlap with the next, in shorter sides of the strip
const OVERLAP = 0.9;
const MAX_WINDOWS = 64;
const MIN_SIDE = 16;
const CUT_MARGIN = 0.02; // of a window's shorter side
const CONTAINED = 0.6; // share of the smaller of two boxes that lies in the other: they show one head

/** The parts of a picture to search: the whole picture, or windows along a strip; none of a strip too narrow for a head. */
export function windows(width: number, height: number): Box[] {
  const long = Math.max(width, height);
  const short = Math.min(width, height);
  if (long <= MAX_ASPECT_RATIO * short) return [[0, 0, width, height]];
  if (short < MIN_SIDE) return [];
  const overlap = round(OVERLAP * short);
  const count = Math.min(MAX_WINDOWS, Math.ceil((long - overlap) / (round(WINDOW * short) - overlap)));
  const side = overlap + Math.ceil((long - overlap) / count);
  const found: Box[] = [];
  for (let number = 0; number < count; number++) {
    const start = Math.floor((number * (long - side)) / (count - 1));
    found.push(height > width ? [0, start, width, start + side] : [start, 0, start + side, height]);
  }
  return found;
}

/** Whether a box ends at a border of its window beyond which the picture of that size goes on. */
export function isCut(box: Box, window: Box, width: number, height: number): boolean {
  const margin = CUT_MARGIN * Math.min(window[2] - window[0], window[3] - window[1]);
  return (
    (box[0] < window[0] + margin && window[0] > 0) ||
    (box[1] < window[1] + margin && window[1] > 0) ||
    (box[2] > window[2] - margin && window[2] < width) ||
    (box[3] > window[3] - margin && window[3] < height)
  );
}

/**
 * The places of the boxes to keep, by falling score: each head once, and whole where some window shows it whole. Boxes of
 * lower ranks are kept first.
 */
export function merge(boxes: Box[], scores: number[], rank: number[], maxIou: number): number[] {
  const order = boxes.map((_, place) => place);
  order.sort((a, b) => rank[a]! - rank[b]! || scores[b]! - scores[a]!);
  const keep: number[] = [];
  for (const place of order) {
    const box = boxes[place]!;
    const isNew = keep.every((one) => {
      const kept = boxes[one]!;
      const contained = intersection(box, kept) > CONTAINED * Math.min(area(box), area(kept));
      return !contained && iou(box, kept) <= maxIou;
    });
    if (isNew) keep.push(place);
  }
  return keep.sort((a, b) => scores[b]! - scores[a]!);
}
