import { expect, test } from "vitest";
import { nms } from "../src/recognizer/boxes.ts";
import { isCut, merge, windows } from "../src/recognizer/strips.ts";
import { read, type BoxCase } from "./vectors.ts";

test("strips are divided, and boxes are merged, as in Python", () => {
  for (const one of read<BoxCase[]>("boxes")) {
    expect(windows(one.width, one.height)).toEqual(one.windows);
    expect(one.boxes.map((box, place) => isCut(box, one.found_in[place]!, one.width, one.height))).toEqual(one.cut);
    expect(merge(one.boxes, one.scores, one.cut, 0.6)).toEqual(one.merged);
    expect(nms(one.boxes, one.scores, 0.3)).toEqual(one.nms);
  }
});
