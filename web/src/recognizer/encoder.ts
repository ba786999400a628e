// Heads to embeddings: crystal_eyes/encoder/runtime.py and the `fit` of crystal_eyes/images.py.

import type { Pixels } from "./pixels.ts";
import { BICUBIC, resize } from "./resampling.ts";
import type { Session } from "./session.ts";

const BATCH = 8; // heads per run: a phone has little memory

export class Encoder {
  constructor(
    private readonly session: Session,
    private readonly imageSize: number,
    readonly embeddingSize: number,
  ) {}

  /** The embedding of each head crop: unit length. */
  async embed(heads: Pixels[]): Promise<Float32Array[]> {
    const size = this.imageSize;
    const bytes = size * size * 3;
    const out: Float32Array[] = [];
    for (let start = 0; start < heads.length; start += BATCH) {
      const some = heads.slice(start, start + BATCH);
      const input = new Uint8Array(some.length * bytes);
      some.forEach((head, number) => input.set(resize(head, size, size, BICUBIC).data, number * bytes));
      const { data } = await this.session.run("pictures", "uint8", input, [some.length, size, size, 3]);
      some.forEach((_, number) => out.push(data.slice(number * this.embeddingSize, (number + 1) * this.embeddingSize)));
    }
    return out;
  }
}
