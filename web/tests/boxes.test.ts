import { expect, test } from "vitest";
import { nms } from "../src/recognizer/boxes.ts";
import { isCut, merge, windows } from "../src/recognizer/strips.ts";
import { tiles } from "../src/recognizer/tiles.ts";
import { read, type BoxCase } from "./vectors.ts";

test("strips and pictures are divided, and boxes are merged, as in Python", () => {
  for (const one of read<BoxCase[]>("boxes")) {
    expect(windows(one.width, one.height)).toEqual(one.windows);
    expect(one.boxes.map((box, place) => isCut(box, one.found_in[place]!, one.width, one.height))).toEqual(one.cut);
    expect(merge(one.boxes, one.scores, one.rank, 0.6)).toEqual(one.merged);
    expect(tiles(one.width, one.height)).toEqual({ parts: one.tiles, size: one.tile_side });
    expect(nms(one.boxes, one.scores, 0.3)).toEqual(one.nms);
  }
});
