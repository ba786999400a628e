// Which parts of a picture are heads: crystal_eyes/recognizer/finding.py.

import { clip, type Box } from "./boxes.ts";
import { cropHead, MARGIN } from "./cropping.ts";
import type { Detection, Detector } from "./detector.ts";
import { round } from "./numbers.ts";
import { padded, type Pixels } from "./pixels.ts";
import { BOX, resize } from "./resampling.ts";

const FILL_SHARE = 0.6; // of the picture's longer side: if a head's crop is at least this large, the picture is a head crop
const MAX_RATIO = 1.6; // of the sides of a head crop
const CROP_SIDE = 400; // px: a picture whose longer side is at most this may be a head crop
const FRAMED_SIDE = 1000; // px: larger pictures are reduced before they are framed
const MAX_HEADS = 100;
const FRAME = 0.6; // of the longer side: width of the frame around a tight crop for the second detection
const PAPER = 255;

export interface FoundHead {
  box: Box;
  confidence: number;
  wholePicture: boolean; // the picture is itself a head crop
  picture: Pixels; // the crop that is resized for the encoder
}

/** The heads in a picture, most confident first. A small picture, or one without any head, is framed and searched again. */
export async function findHeads(detector: Detector, picture: Pixels): Promise<FoundHead[]> {
  const { width, height } = picture;
  const longer = Math.max(width, height);
  const square = longer <= MAX_RATIO * Math.min(width, height);
  let found = await detector.detect(picture);
  let confidence = square ? filling(found, longer) : 0;
  if (square && !confidence && (!found.length || longer <= CROP_SIDE)) {
    const again = await detectFramed(detector, picture);
    confidence = filling(again, longer);
    if (!found.length) found = again;
  }
  if (confidence) return [{ box: [0, 0, width, height], confidence, wholePicture: true, picture }];
  return found.slice(0, MAX_HEADS).map(({ box, score }) => ({
    box,
    confidence: score,
    wholePicture: false,
    picture: cropHead(picture, box),
  }));
}

async function detectFramed(detector: Detector, picture: Pixels): Promise<Detection[]> {
  const { width, height } = picture;
  const scale = Math.min(1, FRAMED_SIDE / Math.max(width, height));
  const [across, down] = [Math.max(1, round(width * scale)), Math.max(1, round(height * scale))];
  const small = scale === 1 ? picture : resize(picture, across, down, BOX);
  const edge = round(FRAME * Math.max(across, down));
  const found = await detector.detect(padded(small, edge, edge, edge, edge, PAPER));
  return found.map(({ box, score }) => ({
    box: clip(box.map((side) => (side - edge) / scale) as Box, width, height),
    score,
  }));
}

/** The confidence of the largest head if its crop fills a picture of this longer side, else 0. */
function filling(found: Detection[], longer: number): number {
  let most = 0;
  let confidence = 0;
  for (const { box, score } of found) {
    const side = Math.max(box[2] - box[0], box[3] - box[1]) * (1 + 2 * MARGIN);
    if (side > most) [most, confidence] = [side, score];
  }
  return most >= FILL_SHARE * longer ? confidence : 0;
}
