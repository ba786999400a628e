import { decode } from "../../src/recognizer/decoding.ts";

/** [width, height, RGB as base64] of an encoded picture in base64; a string: why it can't be decoded. */
async function decodeBase64(data: string): Promise<[number, number, string] | string> {
  const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
  try {
    const { width, height, data: rgb } = await decode(new Blob([bytes]));
    let text = "";
    for (let start = 0; start < rgb.length; start += 8192) text += String.fromCharCode(...rgb.subarray(start, start + 8192));
    return [width, height, btoa(text)];
  } catch (error) {
    return (error as Error).message;
  }
}

Object.assign(window, { decodeBase64 });
