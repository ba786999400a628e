// Finds heads: crystal_eyes/detector/runtime.py.

import { resizeBilinear } from "./bilinear.ts";
import { area, clip, nms, type Box } from "./boxes.ts";
import { round } from "./numbers.ts";
import { padded, part, type Pixels } from "./pixels.ts";
import type { Session } from "./session.ts";
import { isCut, merge, windows } from "./strips.ts";

const CONFIDENCE = 0.4;
const NMS_IOU = 0.6;
const STRIDE = 32;
const GRAY = 114;
const MAX_ENLARGEMENT = 2;
const BATCH = 8;

export interface Detection {
  box: Box;
  score: number;
}

export interface Letterboxed {
  picture: Pixels;
  scales: [number, number]; // horizontal and vertical; they differ a little because sides are whole pixels
  left: number; // padding
  top: number;
}

export class Detector {
  constructor(
    private readonly session: Session,
    private readonly imageSize: number, // longer side of the network's input, pixels
  ) {}

  /** The heads in a picture, most confident first. */
  async detect(picture: Pixels): Promise<Detection[]> {
    const { width, height } = picture;
    const parts = windows(width, height);
    if (parts.length === 1) return (await this.detectInParts([picture], this.imageSize))[0]!;
    const boxes: Box[] = [];
    const scores: number[] = [];
    const cut: boolean[] = [];
    for (let start = 0; start < parts.length; start += BATCH) {
      const some = parts.slice(start, start + BATCH);
      const pictures = some.map((window) => part(picture, ...window));
      const longer = Math.max(pictures[0]!.width, pictures[0]!.height);
      const size = Math.min(this.imageSize, roundUp(MAX_ENLARGEMENT * longer));
      const found = await this.detectInParts(pictures, size);
      found.forEach((detections, number) => {
        const window = some[number]!;
        for (const { box, score } of detections) {
          const [left, top] = window;
          const placed: Box = [box[0] + left, box[1] + top, box[2] + left, box[3] + top];
          boxes.push(placed);
          scores.push(score);
          cut.push(isCut(placed, window, width, height));
        }
      });
    }
    return merge(boxes, scores, cut, NMS_IOU).map((place) => ({ box: boxes[place]!, score: scores[place]! }));
  }

  /** The detections in each of several pictures of one shape, in one run. size: longer side of the input. */
  private async detectInParts(parts: Pixels[], size: number): Promise<Detection[][]> {
    const { width, height } = parts[0]!;
    const boxed = parts.map((one) => letterbox(one, size));
    const { picture, scales, left, top } = boxed[0]!;
    const input = new Uint8Array(boxed.length * picture.data.length);
    boxed.forEach((one, number) => input.set(one.picture.data, number * picture.data.length));
    const raw = await this.session.run("pictures", "uint8", input, [boxed.length, picture.height, picture.width, 3]);
    const anchors = raw.dims[2]!;
    return boxed.map((_, number) => {
      // 5 x anchors: center x, center y, width, height, confidence
      const at = (row: number, anchor: number) => raw.data[(number * 5 + row) * anchors + anchor]!;
      const boxes: Box[] = [];
      const scores: number[] = [];
      for (let anchor = 0; anchor < anchors; anchor++) {
        const score = at(4, anchor);
        if (!(score > CONFIDENCE)) continue;
        const [x, y, halfWidth, halfHeight] = [at(0, anchor), at(1, anchor), at(2, anchor) / 2, at(3, anchor) / 2];
        boxes.push([x - halfWidth, y - halfHeight, x + halfWidth, y + halfHeight]);
        scores.push(score);
      }
      const kept = nms(boxes, scores, NMS_IOU).map((place) => {
        const box = boxes[place]!;
        const placed: Box = [
          (box[0] - left) / scales[0], (box[1] - top) / scales[1], (box[2] - left) / scales[0], (box[3] - top) / scales[1],
        ];
        return { box: clip(placed, width, height), score: scores[place]! };
      });
      return kept.filter(({ box }) => area(box) > 0);
    });
  }
}

/** The picture scaled so that its longer side is `size` pixels, padded with gray to multiples of STRIDE. */
export function letterbox(picture: Pixels, size: number): Letterboxed {
  const { width, height } = picture;
  const scale = size / Math.max(width, height);
  const newWidth = Math.max(1, round(width * scale));
  const newHeight = Math.max(1, round(height * scale));
  const same = newWidth === width && newHeight === height;
  const resized = same ? picture : resizeBilinear(picture, newWidth, newHeight);
  const across = missing(newWidth) / 2;
  const down = missing(newHeight) / 2;
  const left = round(across - 0.1);
  const top = round(down - 0.1);
  return {
    picture: padded(resized, left, top, round(across + 0.1), round(down + 0.1), GRAY),
    scales: [newWidth / width, newHeight / height],
    left,
    top,
  };
}

function missing(side: number): number {
  return (STRIDE - (side % STRIDE)) % STRIDE;
}

function roundUp(side: number): number {
  return Math.ceil(Math.trunc(side) / STRIDE) * STRIDE;
}
