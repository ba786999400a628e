import { describe, expect, test } from "vitest";
import { resizeBilinear } from "../src/recognizer/bilinear.ts";
import { cropHead } from "../src/recognizer/cropping.ts";
import { letterbox } from "../src/recognizer/detector.ts";
import { isMonochrome } from "../src/recognizer/imageStats.ts";
import type { Pixels } from "../src/recognizer/pixels.ts";
import { BICUBIC, BOX, resize } from "../src/recognizer/resampling.ts";
import { pixels, read, type HeadCase, type ResizingCase } from "./vectors.ts";

function expectSame(found: Pixels, expected: Pixels, tolerance: number): void {
  expect([found.width, found.height]).toEqual([expected.width, expected.height]);
  let most = 0;
  for (let place = 0; place < expected.data.length; place++) {
    most = Math.max(most, Math.abs(found.data[place]! - expected.data[place]!));
  }
  expect(most).toBeLessThanOrEqual(tolerance);
}

describe("pictures are resized to the same bytes as in Python", () => {
  read<ResizingCase[]>("resizing").forEach(({ kernel, picture, expected, scales, pads }, number) => {
    const given = pixels(picture);
    const wanted = pixels(expected);
    test(`${number}: ${kernel} from ${given.width} x ${given.height} to ${wanted.width} x ${wanted.height}`, () => {
      if (kernel === "letterbox") {
        const boxed = letterbox(given, 160);
        expect([boxed.left, boxed.top]).toEqual(pads);
        expect(boxed.scales).toEqual(scales);
        expectSame(boxed.picture, wanted, 0);
      } else if (kernel === "bilinear") {
        expectSame(resizeBilinear(given, wanted.width, wanted.height), wanted, 0);
      } else {
        expectSame(resize(given, wanted.width, wanted.height, kernel === "bicubic" ? BICUBIC : BOX), wanted, 0);
      }
    });
  });
});

test("heads are cropped, and told from line art, as in Python", () => {
  for (const { picture, box, head, monochrome } of read<HeadCase[]>("heads")) {
    if (box) expectSame(cropHead(pixels(picture), box), pixels(head), 0);
    expect(isMonochrome(pixels(head))).toBe(monochrome);
  }
});
