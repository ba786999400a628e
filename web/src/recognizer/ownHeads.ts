// What is kept of a picture from which a character is enrolled: crystal_eyes/recognizer/enrollment.py.

import type { Head } from "./answers.ts";
import { decode } from "./decoding.ts";
import type { FoundHead } from "./finding.ts";
import { differenceHash, hashesOfSides } from "./imageStats.ts";
import type { Pixels } from "./pixels.ts";
import type { Recognizer } from "./recognizer.ts";
import { BICUBIC, resize } from "./resampling.ts";

const SIDE = 256; // px: of a head's picture
const QUALITY = 0.9;
const SMALL = 96; // px: of the pictures whose hashes are compared

export interface OwnHead {
  picture: Uint8Array<ArrayBuffer>; // encoded, at most SIDE x SIDE
  embedding: Float32Array;
  monochrome: boolean;
  hash: Uint8Array; // of the picture, reduced to SMALL
}

export interface MeasuredHead extends OwnHead {
  sides: Uint8Array[]; // hashesOfSides of the head
  smallSides: Uint8Array[]; // and of the head reduced to SMALL
  named: Head; // whom it shows, with the characters known so far
}

/** How many heads a picture shows, and what is kept of it if it is one. isCrop: the whole picture is the head. */
export async function measureHead(
  recognizer: Recognizer,
  source: Blob,
  isCrop: boolean,
): Promise<{ count: number; head: MeasuredHead | null }> {
  const picture = await decode(source);
  const found = isCrop ? [asHead(picture)] : await recognizer.find(picture);
  if (found.length !== 1) return { count: found.length, head: null };
  const crop = found[0]!.picture;
  const { head: named, embedding } = await recognizer.measure(found[0]!);
  const small = within(crop, SMALL);
  const kept = isCrop && Math.max(crop.width, crop.height) <= SIDE;
  const head = {
    picture: kept ? new Uint8Array(await source.arrayBuffer()) : await encode(within(crop, SIDE)),
    embedding,
    monochrome: named.monochrome,
    hash: differenceHash(small),
    sides: hashesOfSides(crop),
    smallSides: hashesOfSides(small),
    named,
  };
  return { count: 1, head };
}

function asHead(picture: Pixels): FoundHead {
  return { box: [0, 0, picture.width, picture.height], confidence: 1, wholePicture: true, picture };
}

function within(picture: Pixels, side: number): Pixels {
  const scale = side / Math.max(picture.width, picture.height);
  if (scale >= 1) return picture;
  const reduced = (length: number) => Math.max(1, Math.round(length * scale));
  return resize(picture, reduced(picture.width), reduced(picture.height), BICUBIC);
}

/** WebP, or PNG in browsers that write no WebP. */
async function encode({ width, height, data }: Pixels): Promise<Uint8Array<ArrayBuffer>> {
  const pixels = new Uint8ClampedArray(width * height * 4).fill(255);
  for (let from = 0, to = 0; from < data.length; from += 3, to += 4) pixels.set(data.subarray(from, from + 3), to);
  const canvas = new OffscreenCanvas(width, height);
  canvas.getContext("2d")!.putImageData(new ImageData(pixels, width, height), 0, 0);
  return new Uint8Array(await (await canvas.convertToBlob({ type: "image/webp", quality: QUALITY })).arrayBuffer());
}
