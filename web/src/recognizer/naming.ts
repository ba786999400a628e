// Embeddings to calibrated answers: crystal_eyes/recognizer/naming.py.

import type { LikelySeries } from "./answers.ts";
import type { Bundle, Known } from "./bundle.ts";
import { Calibration, knownProbability } from "./calibration.ts";
import { cohortOf, EnrolledUnlikeness } from "./enrolled.ts";
import type { Matrix } from "./matrix.ts";
import type { Session } from "./session.ts";
import { unlikeness, type Evidence } from "./unlikeness.ts";

export interface Named {
  probabilities: Float64Array; // by character; what is missing to 1 is the probability of nobody among them
  toGallery: Float32Array; // by reference head: cosine
  unlikeness: number; // to the trained characters
  pValue: number;
  strangerShare: number;
}

export class Naming {
  readonly known: Known;
  private readonly means: Matrix;
  private readonly gallery: Matrix;
  private readonly color: Calibration;
  private readonly line: Calibration;
  private readonly enrolledUnlikeness: EnrolledUnlikeness | null;
  private readonly trainedReferences: number;

  constructor(
    private readonly classifier: Session,
    bundle: Bundle,
  ) {
    this.known = bundle.known;
    this.means = bundle.means;
    this.gallery = bundle.gallery;
    const { calibration } = bundle.known;
    this.color = new Calibration(calibration.colour);
    this.line = new Calibration(calibration.line);
    const enrolled = calibration.enrolled_unlikeness;
    this.enrolledUnlikeness = enrolled ? new EnrolledUnlikeness(enrolled) : null;
    this.trainedReferences = this.known.labels.filter((label) => label < this.known.trained).length;
  }

  /** The answer for a head. embedding: unit length; monochrome: whether the head is line art or gray. */
  async name(embedding: Float32Array, monochrome: boolean): Promise<Named> {
    const evidence = await this.evidence(embedding);
    const { trained } = this.known;
    const toTrained = evidence.toMeans.subarray(0, trained);
    const unlike = unlikeness(this.known.calibration.unlikeness, {
      logits: evidence.logits.subarray(0, trained),
      toMeans: toTrained,
      toGallery: evidence.toGallery.subarray(0, this.trainedReferences),
    });
    const calibration = monochrome ? this.line : this.color;
    let probabilities = calibration.probabilities(evidence.logits);
    let pValue = calibration.pValue(unlike);
    let strangerShare = calibration.strangerShare(unlike);
    const added = this.known.characters.length - trained;
    if (added && this.enrolledUnlikeness) {
      const first = firstLargest(probabilities);
      const cohort = cohortOf(toTrained);
      for (let number = 0; number < added; number++) {
        const label = trained + number;
        const own = evidence.toGallery.filter((_, row) => this.known.labels[row] === label);
        const line = monochrome || this.known.only_line[number]!;
        const measured = this.enrolledUnlikeness.measure(evidence.toMeans[label]!, own, cohort, line);
        pValue = Math.max(pValue, measured.pValue);
        // the share that comes this close to any of the enrolled characters
        if (first === label) strangerShare = 1 - (1 - measured.strangerShare) ** added;
      }
    }
    if (this.color.strangers.length) {
      const known = knownProbability(pValue, strangerShare);
      probabilities = probabilities.map((probability) => probability * known);
    }
    return { probabilities, toGallery: evidence.toGallery, unlikeness: unlike, pValue, strangerShare };
  }

  /** The series with the largest sum over its characters; null if none has a series. */
  likelySeries(probabilities: Float64Array): LikelySeries | null {
    const sums = new Map<string, number>();
    this.known.characters.forEach(([, series], label) => {
      if (series) sums.set(series, (sums.get(series) ?? 0) + probabilities[label]!);
    });
    let best: LikelySeries | null = null;
    for (const name of [...sums.keys()].sort()) {
      if (!best || sums.get(name)! > best.probability) best = { name, probability: sums.get(name)! };
    }
    return best && { name: best.name, probability: Math.min(1, best.probability) };
  }

  private async evidence(embedding: Float32Array): Promise<Evidence> {
    const { data } = await this.classifier.run("embeddings", "float32", embedding, [1, embedding.length]);
    const toMeans = this.means.cosines(embedding);
    const { slope, intercept } = this.known.calibration.enrolled_logits;
    const logits = new Float32Array(toMeans.length);
    logits.set(data);
    for (let label = data.length; label < logits.length; label++) logits[label] = slope * toMeans[label]! + intercept;
    return { logits, toMeans, toGallery: this.gallery.cosines(embedding) };
  }
}

function firstLargest(values: Float64Array): number {
  let best = 0;
  values.forEach((value, place) => {
    if (value > values[best]!) best = place;
  });
  return best;
}
