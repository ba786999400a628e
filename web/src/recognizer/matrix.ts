// Stored embeddings: npy files of float32, float16 or int8, as in crystal_eyes/recognizer/gallery.py.

import { UserError } from "./messages.ts";
import { fromHalfBits } from "./packing.ts";

export class Matrix {
  /** lengths: of int8 rows, each of which stands for its direction. */
  constructor(
    readonly rows: number,
    readonly columns: number,
    private readonly data: Int8Array | Float32Array,
    private readonly lengths?: Float64Array,
  ) {}

  static ofRows(rows: Float32Array[], columns: number): Matrix {
    const data = new Float32Array(rows.length * columns);
    rows.forEach((row, number) => data.set(row, number * columns));
    return new Matrix(rows.length, columns, data);
  }

  static readNpy(file: Uint8Array, name: string): Matrix {
    const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
    const isOld = file[6] === 1;
    const start = isOld ? 10 : 12;
    const length = isOld ? view.getUint16(8, true) : view.getUint32(8, true);
    const header = new TextDecoder("latin1").decode(file.subarray(start, start + length));
    const found = /'descr': '([^']+)', 'fortran_order': False, 'shape': \((\d+), (\d+)\)/.exec(header);
    if (!found) throw new UserError("error.table", { name });
    const [type, rows, columns] = [found[1]!, Number(found[2]), Number(found[3])];
    const body = file.slice(start + length);
    if (type === "|i1") {
      const data = new Int8Array(body.buffer);
      return new Matrix(rows, columns, data, rowLengths(data, rows, columns));
    }
    if (type === "<f4") return new Matrix(rows, columns, new Float32Array(body.buffer));
    if (type !== "<f2") throw new UserError("error.numbers", { name, type });
    return new Matrix(rows, columns, Float32Array.from(new Uint16Array(body.buffer), fromHalfBits));
  }

  /** A view of a row; not of an int8 matrix, whose rows stand for their directions. */
  row(number: number): Float32Array {
    return (this.data as Float32Array).subarray(number * this.columns, (number + 1) * this.columns);
  }

  /** The dot product with each row: the cosine, where both have unit length. */
  cosines(embedding: Float32Array): Float32Array {
    const { rows, columns, data, lengths } = this;
    const out = new Float32Array(rows);
    for (let row = 0, place = 0; row < rows; row++) {
      let sum = 0;
      for (let column = 0; column < columns; column++) sum += data[place++]! * embedding[column]!;
      out[row] = lengths ? sum / lengths[row]! : sum;
    }
    return out;
  }
}

export function lengthOf(vector: Float32Array | Float64Array): number {
  return Math.max(1e-12, Math.hypot(...vector));
}

function rowLengths(data: Int8Array, rows: number, columns: number): Float64Array {
  const lengths = new Float64Array(rows);
  for (let row = 0, place = 0; row < rows; row++) {
    let sum = 0;
    for (let column = 0; column < columns; column++, place++) sum += data[place]! * data[place]!;
    lengths[row] = Math.max(Math.sqrt(sum), 1e-12);
  }
  return lengths;
}
