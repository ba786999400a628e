// Finds heads: crystal_eyes/detector/runtime.py.

import { resizeBilinear } from "./bilinear.ts";
import { area, clip, nms, type Box } from "./boxes.ts";
import type { Manifest } from "./bundle.ts";
import { round } from "./numbers.ts";
import { padded, part, type Pixels } from "./pixels.ts";
import { calibrated } from "./platt.ts";
import type { Session } from "./session.ts";
import { isCut, merge, windows } from "./strips.ts";
import { LARGEST, OVERLAP, SIDE, tiles } from "./tiles.ts";

const NMS_IOU = 0.6;
const STRIDE = 32;
export const GRAY = 114;
const MAX_ENLARGEMENT = 2;
const BATCH = 8;

/** How closely a picture is searched: high finds small heads too, and takes longer. */
export type Detail = "normal" | "high";

export interface Detection {
  box: Box;
  score: number; // the probability that it is a head, if the detector is calibrated
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
    private readonly settings: Manifest["detector"],
  ) {}

  /** The minimum of a head. */
  get confidence(): number {
    return this.settings.confidence;
  }

  /** The confidence of a box to which the network gives that number. */
  confidenceOf(output: number): number {
    const { calibration } = this.settings;
    return calibration ? calibrated(calibration, output) : output;
  }

  /** The heads in a picture above a confidence, most confident first. */
  async detect(picture: Pixels, confidence = this.confidence, detail: Detail = "normal"): Promise<Detection[]> {
    const { width, height } = picture;
    const least = Math.fround(confidence); // compared with 32-bit numbers
    let parts = windows(width, height);
    let found: Detection[][];
    let pixel = Infinity; // of the network's input for a tile, in pixels of the picture
    const isStrip = parts.length !== 1;
    if (isStrip) {
      const longest = detail === "high" ? SIDE : this.settings.image_size;
      const size = parts.length ? Math.min(longest, roundUp(MAX_ENLARGEMENT * longerSide(parts[0]!))) : 0;
      found = await this.search(picture, parts, size, least);
    } else {
      found = await this.detectInParts([picture], this.settings.image_size, least);
      if (detail !== "high") return found[0]!;
      const more = tiles(width, height);
      found.push(...(await this.search(picture, more.parts, more.size, least)));
      parts = [...parts, ...more.parts];
      pixel = longerSide(more.parts[0]!) / more.size;
    }
    const boxes: Box[] = [];
    const scores: number[] = [];
    const rank: number[] = [];
    for (const [number, window] of parts.entries()) {
      const [left, top, right, bottom] = window;
      const inWhole = !left && !top && right === width && bottom === height;
      for (const { box, score } of found[number]!) {
        const placed: Box = [box[0] + left, box[1] + top, box[2] + left, box[3] + top];
        const side = longerSide(placed);
        if (!inWhole && side > LARGEST * pixel) continue;
        boxes.push(placed);
        scores.push(score);
        rank.push(inWhole && side > OVERLAP * pixel ? -1 : Number(isCut(placed, window, width, height)));
      }
    }
    return merge(boxes, scores, rank, NMS_IOU).map((place) => ({ box: boxes[place]!, score: scores[place]! }));
  }

  /** The detections in each of several equally large parts of a picture. size: longer side of the input. */
  private async search(picture: Pixels, parts: Box[], size: number, least: number): Promise<Detection[][]> {
    const found: Detection[][] = [];
    const most = Math.floor((BATCH * this.settings.image_size ** 2) / Math.max(1, size ** 2));
    const batch = Math.max(1, Math.min(BATCH, most));
    for (let start = 0; start < parts.length; start += batch) {
      const some = parts.slice(start, start + batch).map((window) => part(picture, ...window));
      found.push(...(await this.detectInParts(some, size, least)));
    }
    return found;
  }

  /** The detections in each of several pictures of one shape, in one run. size: longer side of the input. */
  private async detectInParts(parts: Pixels[], size: number, least: number): Promise<Detection[][]> {
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
        const score = this.confidenceOf(at(4, anchor));
        if (!(score > least)) continue;
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

/** Pixels. */
function longerSide([left, top, right, bottom]: Box): number {
  return Math.max(right - left, bottom - top);
}

function roundUp(side: number): number {
  return Math.ceil(Math.trunc(side) / STRIDE) * STRIDE;
}
