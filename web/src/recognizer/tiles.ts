// Tiles, the overlapping parts in which a picture is searched for small heads: crystal_eyes/detector/tiles.py.

import type { Box } from "./boxes.ts";
import { round } from "./numbers.ts";

export const SIDE = 768; // pixels of the network's input for a tile
export const OVERLAP = 160; // pixels of that input that two neighbors share
export const LARGEST = 320; // pixels of that input: larger heads are left to the whole picture
const PER_SIDE = 3;
const MAX_ENLARGEMENT = 1.25;

/** The equally large parts of a picture, and the longer side of the network's input for each, pixels. */
export function tiles(width: number, height: number): { parts: Box[]; size: number } {
  const reach = PER_SIDE * (SIDE - OVERLAP) + OVERLAP; // pixels of the input that the longer side can have
  const scale = Math.min(MAX_ENLARGEMENT, reach / Math.max(width, height));
  const across = spans(width, scale);
  const parts = spans(height, scale).flatMap(([top, bottom]) =>
    across.map(([left, right]): Box => [left, top, right, bottom]),
  );
  const [left, top, right, bottom] = parts[0]!;
  return { parts, size: Math.min(SIDE, round(scale * Math.max(right - left, bottom - top))) };
}

/** Start and end of each tile along a side of the picture, pixels. */
function spans(side: number, scale: number): [number, number][] {
  if (scale * side <= SIDE) return [[0, side]];
  const overlap = OVERLAP / scale;
  const count = Math.ceil((scale * side - OVERLAP) / (SIDE - OVERLAP) - 1e-9);
  const length = Math.min(side, round(overlap + (side - overlap) / count + 0.5));
  return Array.from({ length: count }, (_, number) => {
    const start = Math.floor((number * (side - length)) / (count - 1));
    return [start, start + length];
  });
}
