// Files as crystal_eyes/web/packing.py packs them.

import { UserError } from "./messages.ts";

type Part = ["copy" | "float16" | "float32", number, number]; // kind, rows, columns

export async function unzip(data: Uint8Array, name: string): Promise<Uint8Array> {
  try {
    const stream = new Blob([data as Uint8Array<ArrayBuffer>]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  } catch {
    throw new UserError("error.damaged", { name });
  }
}

/** The ONNX file that was packed. Its weights are the nearest 16- or 32-bit numbers to scale x int8, as in Python. */
export function expand(packed: Uint8Array): Uint8Array {
  const view = new DataView(packed.buffer, packed.byteOffset, packed.byteLength);
  const length = view.getUint32(0, true);
  const parts = JSON.parse(new TextDecoder().decode(packed.subarray(4, 4 + length))) as Part[];
  const sizes = parts.map(([kind, rows, columns]) => rows * columns * (kind === "float32" ? 4 : kind === "float16" ? 2 : 1));
  const out = new Uint8Array(sizes.reduce((sum, size) => sum + size, 0));
  const target = new DataView(out.buffer);
  let from = 4 + length;
  let to = 0;
  for (const [kind, rows, columns] of parts) {
    if (kind === "copy") {
      out.set(packed.subarray(from, from + columns), to);
      from += columns;
      to += columns;
      continue;
    }
    const bytes = kind === "float16" ? 2 : 4;
    const table = new Uint32Array(256); // of a row: the bits of each of its numbers, by int8
    for (let row = 0, at = from + rows * 4; row < rows; row++) {
      const scale = view.getFloat32(from + row * 4, true);
      for (let whole = -127; whole <= 127; whole++) {
        table[whole & 255] = bytes === 2 ? halfBits(Math.fround(whole * scale)) : bits(Math.fround(whole * scale));
      }
      for (let column = 0; column < columns; column++, at++, to += bytes) {
        if (bytes === 2) target.setUint16(to, table[packed[at]!]!, true);
        else target.setUint32(to, table[packed[at]!]!, true);
      }
    }
    from += rows * (4 + columns);
  }
  return out;
}

const FLOAT = new Float32Array(1);
const BITS = new Uint32Array(FLOAT.buffer);

function bits(value: number): number {
  FLOAT[0] = value;
  return BITS[0]!;
}

/** The bits of the 16-bit number nearest to a 32-bit one; halves go to the even one. */
export function halfBits(value: number): number {
  const all = bits(value);
  const sign = (all >>> 16) & 0x8000;
  const magnitude = Math.abs(value);
  if (magnitude >= 65520) return sign | (magnitude > 0 ? 0x7c00 : 0);
  if (magnitude < 2 ** -14) {
    const units = magnitude * 2 ** 24; // exact: a power of two
    const whole = Math.floor(units);
    const above = units - whole;
    return sign | (whole + (above > 0.5 || (above === 0.5 && whole % 2 === 1) ? 1 : 0));
  }
  const rest = all & 0x1fff;
  const half = ((all & 0x7fffffff) >>> 13) - (112 << 10);
  return sign | (half + (rest > 0x1000 || (rest === 0x1000 && (half & 1) === 1) ? 1 : 0));
}

export function fromHalfBits(half: number): number {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >> 10) & 31;
  const fraction = half & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}
