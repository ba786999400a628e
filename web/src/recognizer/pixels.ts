/** A picture: RGB, 8 bits per channel, row by row. */
export interface Pixels {
  width: number;
  height: number;
  data: Uint8Array; // height x width x 3
}

export function emptyPixels(width: number, height: number, value = 0): Pixels {
  const data = new Uint8Array(width * height * 3);
  if (value) data.fill(value);
  return { width, height, data };
}

/** A copy of the part from left, top to right, bottom, which must lie inside the picture. */
export function part(picture: Pixels, left: number, top: number, right: number, bottom: number): Pixels {
  const out = emptyPixels(right - left, bottom - top);
  const row = out.width * 3;
  for (let y = 0; y < out.height; y++) {
    const start = ((top + y) * picture.width + left) * 3;
    out.data.set(picture.data.subarray(start, start + row), y * row);
  }
  return out;
}

/** The picture with a border of one gray value around it. */
export function padded(picture: Pixels, left: number, top: number, right: number, bottom: number, value: number): Pixels {
  const out = emptyPixels(picture.width + left + right, picture.height + top + bottom, value);
  const row = picture.width * 3;
  for (let y = 0; y < picture.height; y++) {
    out.data.set(picture.data.subarray(y * row, (y + 1) * row), ((y + top) * out.width + left) * 3);
  }
  return out;
}
