// Which parts of a picture are heads: crystal_eyes/recognizer/finding.py.

import { clip, type Box } from "./boxes.ts";
import { cropHead, MARGIN } from "./cropping.ts";
import { GRAY, type Detail, type Detection, type Detector } from "./detector.ts";
import { round } from "./numbers.ts";
import { padded, type Pixels } from "./pixels.ts";
import { logit } from "./platt.ts";
import { BOX, resize } from "./resampling.ts";

const FILL_SHARE = 0.6; // of the picture's longer side: if a head's crop is at least this large, the picture is a head crop
const MAX_RATIO = 1.6; // of the sides of a head crop
const CROP_SIDE = 400; // px: a picture whose longer side is at most this may be a head crop
const FRAMED_SIDE = 1000; // px: larger pictures are reduced before they are framed
const MAX_HEADS = 100;
const FRAME = 0.6; // of the longer side: width of the frame around a tight crop for the second detection
const PAPER = 255;
const SECOND_FRAME = 0.3; // where nothing was found in the first one: the same width, in GRAY
const POSSIBLE = 0.03; // output of the network for a faint head in the picture and in both frames, and their mean (of log-odds)
const FAINT = 0.06;

/** How a picture is searched. */
export interface Search {
  detail?: Detail; // high: small heads are found too, which takes longer
  head?: boolean; // the picture is one head: it is used as it is
}

export interface FoundHead {
  box: Box;
  confidence: number;
  wholePicture: boolean; // the picture is itself a head crop
  picture: Pixels; // the crop that is resized for the encoder
}

/**
 * The heads in a picture, most confident first. A small picture, or one without any head, is framed and searched again. A small
 * one that still shows none is a head crop if it may show a head that fills it.
 */
export async function findHeads(detector: Detector, picture: Pixels, { detail, head }: Search = {}): Promise<FoundHead[]> {
  const longer = Math.max(picture.width, picture.height);
  if (head) return [whole(picture, 1)];
  if (detail === "high") {
    const coarse = await findHeads(detector, picture);
    // in tiles of a head, parts of it look like heads
    if (coarse[0]?.wholePicture && coarse[0].confidence > detector.confidence) return coarse;
    const found = await detector.detect(picture, detector.confidence, "high");
    return found.length ? cutOut(picture, found) : coarse;
  }
  const square = longer <= MAX_RATIO * Math.min(picture.width, picture.height);
  const small = square && longer <= CROP_SIDE;
  const least = detector.confidenceOf(POSSIBLE);
  const possible = await detector.detect(picture, small ? least : detector.confidence);
  let found = sure(detector, possible);
  let confidence = square ? filling(found, longer) : 0;
  if (square && !confidence && (small || !found.length)) {
    const framed = await detectInFrame(detector, picture, FRAME, PAPER, least);
    const again = sure(detector, framed);
    confidence = filling(again, longer);
    if (!found.length) found = again;
    if (small && !found.length) confidence = await faint(detector, picture, [possible, framed], least);
  }
  return confidence ? [whole(picture, confidence)] : cutOut(picture, found);
}

/** The confidence of a faint head that is seen to fill the picture, in the first frame and in the second, else 0. */
async function faint(detector: Detector, picture: Pixels, found: Detection[][], least: number): Promise<number> {
  const longer = Math.max(picture.width, picture.height);
  const seen = found.map((one) => filling(one, longer));
  if (Math.min(...seen) === 0) return 0;
  seen.push(filling(await detectInFrame(detector, picture, SECOND_FRAME, GRAY, least), longer));
  const mean = seen.reduce((sum, value) => sum + logit(value), 0) / seen.length;
  return Math.min(...seen) > 0 && mean > logit(detector.confidenceOf(FAINT)) ? Math.max(...seen) : 0;
}

function cutOut(picture: Pixels, found: Detection[]): FoundHead[] {
  return found.slice(0, MAX_HEADS).map(({ box, score }) => ({
    box,
    confidence: score,
    wholePicture: false,
    picture: cropHead(picture, box),
  }));
}

function whole(picture: Pixels, confidence: number): FoundHead {
  return { box: [0, 0, picture.width, picture.height], confidence, wholePicture: true, picture };
}

/** Those above the detector's default confidence. */
function sure(detector: Detector, found: Detection[]): Detection[] {
  return found.filter(({ score }) => score > Math.fround(detector.confidence));
}

/** Heads above a confidence in a picture within a frame, clipped to it. share: the frame's width in the longer side. */
async function detectInFrame(
  detector: Detector,
  picture: Pixels,
  share: number,
  gray: number,
  confidence: number,
): Promise<Detection[]> {
  const { width, height } = picture;
  const scale = Math.min(1, FRAMED_SIDE / Math.max(width, height));
  const [across, down] = [Math.max(1, round(width * scale)), Math.max(1, round(height * scale))];
  const small = scale === 1 ? picture : resize(picture, across, down, BOX);
  const edge = round(share * Math.max(across, down));
  const found = await detector.detect(padded(small, edge, edge, edge, edge, gray), confidence);
  return found.map(({ box, score }) => ({
    box: clip(box.map((side) => (side - edge) / scale) as Box, width, height),
    score,
  }));
}

/** The confidence of the surest head whose crop fills a picture of this longer side; 0: there is none. */
function filling(found: Detection[], longer: number): number {
  const fills = ({ box }: Detection) =>
    Math.max(box[2] - box[0], box[3] - box[1]) * (1 + 2 * MARGIN) >= FILL_SHARE * longer;
  return Math.max(0, ...found.filter(fills).map(({ score }) => score));
}
