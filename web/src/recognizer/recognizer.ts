// Picture in, named heads out: crystal_eyes/recognizer/recognizer.py.

import { head, type Answer, type Candidate, type Head, type Reference } from "./answers.ts";
import type { Bundle } from "./bundle.ts";
import { Detector } from "./detector.ts";
import { Encoder } from "./encoder.ts";
import { findHeads, type FoundHead, type Search } from "./finding.ts";
import { isMonochrome } from "./imageStats.ts";
import { Naming, type Named, type OwnCharacter } from "./naming.ts";
import { largest } from "./numbers.ts";
import type { Pixels } from "./pixels.ts";
import { openSession } from "./session.ts";

const CANDIDATES = 5;

export class Recognizer {
  private constructor(
    private readonly detector: Detector,
    private readonly encoder: Encoder,
    private readonly naming: Naming,
  ) {}

  /** The runtime must have been prepared: see session.ts. */
  static async open(bundle: Bundle): Promise<Recognizer> {
    const { manifest, models } = bundle;
    const detector = new Detector(await openSession(models.detector), manifest.detector);
    const { image_size, embedding_size } = manifest.encoder;
    const encoder = new Encoder(await openSession(models.encoder), image_size, embedding_size);
    return new Recognizer(detector, encoder, new Naming(await openSession(models.classifier), bundle));
  }

  async recognize(picture: Pixels, search: Search = {}): Promise<Answer> {
    const found = await this.find(picture, search);
    const embeddings = await this.embed(found.map((one) => one.picture));
    const heads: Head[] = [];
    for (const [place, one] of found.entries()) heads.push(await this.nameHead(one, embeddings[place]!));
    return { width: picture.width, height: picture.height, heads };
  }

  /** The heads in a picture, not named. */
  find(picture: Pixels, search: Search = {}): Promise<FoundHead[]> {
    return findHeads(this.detector, picture, search);
  }

  /** Embeddings of head crops of any size: unit length. */
  embed(heads: Pixels[]): Promise<Float32Array[]> {
    return this.encoder.embed(heads);
  }

  /** Name these characters too, in place of those given before. */
  setOwn(own: OwnCharacter[]): void {
    this.naming.setOwn(own);
  }

  /** A found head, named, with its embedding. */
  async measure(found: FoundHead): Promise<{ head: Head; embedding: Float32Array }> {
    const [embedding] = await this.embed([found.picture]);
    return { head: await this.nameHead(found, embedding!), embedding: embedding! };
  }

  private async nameHead(found: FoundHead, embedding: Float32Array): Promise<Head> {
    const monochrome = isMonochrome(found.picture);
    const named = await this.naming.name(embedding, monochrome);
    return head({
      box: found.box,
      confidence: found.confidence,
      whole_picture: found.wholePicture,
      monochrome,
      candidates: this.candidates(named),
      nearest: this.nearest(named),
      unlikeness: named.unlikeness,
      p_value: named.pValue,
      stranger_share: named.strangerShare,
      series: this.naming.likelySeries(named.probabilities),
      nobody: Math.max(0, 1 - named.probabilities.reduce((sum, value) => sum + value, 0)),
    });
  }

  private candidates({ probabilities }: Named): Candidate[] {
    return largest(probabilities, CANDIDATES).map((label) => {
      const [character, series, original] = this.naming.known.characters[label]!;
      return { character, series, probability: probabilities[label]!, original_name: original };
    });
  }

  /** The most similar reference head of each of the nearest characters. */
  private nearest({ toGallery }: Named): Reference[] {
    const { characters, labels } = this.naming.known;
    const best = new Map<number, number>(); // by label: row
    toGallery.forEach((similarity, row) => {
      const known = best.get(labels[row]!);
      if (known === undefined || similarity > toGallery[known]!) best.set(labels[row]!, row);
    });
    const rows = [...best.values()].sort((a, b) => a - b);
    const order = largest(rows.map((row) => toGallery[row]!), CANDIDATES);
    return order.map((place) => {
      const row = rows[place]!;
      const [character, series, original] = characters[labels[row]!]!;
      return { character, series, similarity: Math.min(1, toGallery[row]!), original_name: original, reference: row };
    });
  }
}
