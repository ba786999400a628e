// Encoded pictures to pixels by the browser, with the rules of crystal_eyes/images.py: the first frame, upright by its EXIF
// data, without its color profile, transparent parts white.

import { UserError } from "./messages.ts";
import { emptyPixels, type Pixels } from "./pixels.ts";

export const MAX_PIXELS = 64_000_000;
const BAND = 4_000_000; // pixels that are read from the canvas at a time

export type Source = Blob | ImageBitmap | ImageData;

/** Throws UserError. */
export async function decode(source: Source): Promise<Pixels> {
  const isBlob = source instanceof Blob;
  const bitmap = source instanceof ImageBitmap ? source : await bitmapOf(source);
  try {
    requireUsable(bitmap.width, bitmap.height);
    return pixelsOf(bitmap);
  } catch (error) {
    if (error instanceof UserError) throw error;
    throw new UserError("error.picture.memory", { width: String(bitmap.width), height: String(bitmap.height) });
  } finally {
    if (isBlob) bitmap.close();
  }
}

async function bitmapOf(source: Blob | ImageData): Promise<ImageBitmap> {
  if (source instanceof Blob && !source.size) throw new UserError("error.picture.empty");
  try {
    return await createImageBitmap(source, {
      imageOrientation: "from-image",
      colorSpaceConversion: "none",
      premultiplyAlpha: "default",
    });
  } catch {
    const known = source instanceof Blob && (await isKnownFormat(source));
    throw new UserError(known ? "error.picture.damaged" : "error.picture.format");
  }
}

function requireUsable(width: number, height: number): void {
  if (width * height > MAX_PIXELS) {
    throw new UserError("error.picture.large", { width: String(width), height: String(height), most: MAX_PIXELS / 1e6 });
  }
}

/** Read in bands, so that a large picture is not held as RGBA too. */
function pixelsOf(bitmap: ImageBitmap): Pixels {
  const { width, height } = bitmap;
  const rows = Math.max(1, Math.min(height, Math.floor(BAND / width)));
  const canvas = new OffscreenCanvas(width, rows);
  const context = canvas.getContext("2d", { willReadFrequently: true, alpha: false })!;
  const out = emptyPixels(width, height);
  for (let top = 0, place = 0; top < height; top += rows) {
    const count = Math.min(rows, height - top);
    context.fillStyle = "white";
    context.fillRect(0, 0, width, rows);
    context.drawImage(bitmap, 0, -top);
    const { data } = context.getImageData(0, 0, width, count);
    for (let from = 0; from < data.length; from += 4) {
      out.data[place++] = data[from]!;
      out.data[place++] = data[from + 1]!;
      out.data[place++] = data[from + 2]!;
    }
  }
  return out;
}

/** Whether a file starts like a picture of a format that every browser decodes, so that it must be damaged. */
async function isKnownFormat(file: Blob): Promise<boolean> {
  const bytes = new Uint8Array(await file.slice(0, 16).arrayBuffer());
  const start = String.fromCharCode(...bytes); // not a TextDecoder: it has no encoding that keeps all bytes
  return /^(\x89PNG|\xff\xd8\xff|GIF8|BM|RIFF....WEBP|....ftypavi[fs])/s.test(start);
}
