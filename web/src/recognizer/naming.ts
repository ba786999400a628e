// Embeddings to calibrated answers: crystal_eyes/recognizer/naming.py.

import type { LikelySeries } from "./answers.ts";
import { fullName } from "./answers.ts";
import type { Bundle, Known } from "./bundle.ts";
import { Calibration, knownProbability } from "./calibration.ts";
import { cohortOf, EnrolledUnlikeness } from "./enrolled.ts";
import { EnrolledLogits, meanOf, type Layer } from "./enrolledLogits.ts";
import { ExpectedPoints } from "./expectedPoints.ts";
import { LineNoise } from "./lineNoise.ts";
import { lengthOf, Matrix } from "./matrix.ts";
import type { Session } from "./session.ts";
import { unlikeness, type Evidence } from "./unlikeness.ts";

export interface Named {
  probabilities: Float64Array; // by character; what is missing to 1 is the probability of nobody among them
  toGallery: Float32Array; // by reference head: cosine
  unlikeness: number; // to the trained characters
  pValue: number;
  strangerShare: number;
}

/** A character that the visitor has added: crystal_eyes/recognizer/enrollment.py. */
export interface OwnCharacter {
  character: string;
  series: string; // "" where unknown
  heads: { embedding: Float32Array; monochrome: boolean }[];
}

export class Naming {
  known: Known; // with the characters of setOwn
  private readonly catalogue: Known;
  private ownMeans: Matrix;
  private ownGallery: Matrix;
  private readonly means: Matrix;
  private readonly gallery: Matrix;
  private readonly color: Calibration;
  private readonly line: Calibration;
  private readonly lineNoise: LineNoise | null; // null: heads in line art or gray are named as colored ones
  private readonly enrolledLogits: EnrolledLogits;
  private readonly layers: Layer[]; // of the enrolled characters of the bundle
  private ownLayers: Layer[] = [];
  private readonly enrolledUnlikeness: EnrolledUnlikeness | null;
  private readonly trainedReferences: number;

  constructor(
    private readonly classifier: Session,
    bundle: Bundle,
  ) {
    this.known = this.catalogue = bundle.known;
    this.ownMeans = this.ownGallery = Matrix.ofRows([], bundle.means.columns);
    this.means = bundle.means;
    this.gallery = bundle.gallery;
    const { calibration } = bundle.known;
    this.color = new Calibration(calibration.colour);
    this.line = new Calibration(calibration.line);
    const { enrolled_logits: line, enrolled_points: points } = calibration;
    const expected = bundle.expected.rows ? new ExpectedPoints(bundle.expected, calibration.one_length ?? false) : null;
    this.lineNoise = expected && bundle.line.rows ? new LineNoise(expected, bundle.line) : null;
    this.enrolledLogits = new EnrolledLogits(expected, line, points ?? line, this.lineNoise);
    this.layers = Array.from({ length: bundle.enrolled.rows }, (_, row) => {
      const values = bundle.enrolled.row(row);
      return { weight: values.subarray(0, -2), bias: values.at(-2)!, lineBias: values.at(-1)! };
    });
    const enrolled = calibration.enrolled_unlikeness;
    this.enrolledUnlikeness = enrolled ? new EnrolledUnlikeness(enrolled) : null;
    this.trainedReferences = this.known.labels.filter((label) => label < this.known.trained).length;
  }

  /** Name these characters too, in place of those given before; none that the bundle was trained on. */
  setOwn(own: OwnCharacter[]): void {
    const { characters, trained, only_line, labels } = this.catalogue;
    const known = new Set(characters.slice(0, trained).map(([character, series]) => fullName(character, series)));
    const added = own.filter((one) => one.heads.length && !known.has(fullName(one.character, one.series)));
    const columns = this.means.columns;
    const embeddings = added.map(({ heads }) => heads.map((head) => head.embedding));
    this.ownMeans = Matrix.ofRows(embeddings.map(meanEmbedding), columns);
    this.ownGallery = Matrix.ofRows(embeddings.flat(), columns);
    this.ownLayers = embeddings.map((one) => this.enrolledLogits.layer(one));
    this.known = {
      ...this.catalogue,
      characters: [...characters, ...added.map((one): [string, string, string] => [one.character, one.series, ""])],
      only_line: [...only_line, ...added.map(({ heads }) => heads.every((head) => head.monochrome))],
      labels: [...labels, ...added.flatMap(({ heads }, place) => heads.map(() => characters.length + place))],
    };
  }

  /** The answer for a head. embedding: unit length; monochrome: whether the head is line art or gray. */
  async name(embedding: Float32Array, monochrome: boolean): Promise<Named> {
    const evidence = await this.evidence(embedding, monochrome);
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

  private async evidence(embedding: Float32Array, monochrome: boolean): Promise<Evidence> {
    const scaled = this.enrolledLogits.scaled(embedding);
    const asked = monochrome && this.lineNoise ? this.lineNoise.adapted(scaled) : scaled;
    const { data } = await this.classifier.run("embeddings", "float32", asked, [1, asked.length]);
    const toMeans = joined(this.means.cosines(embedding), this.ownMeans.cosines(embedding));
    const logits = new Float32Array(toMeans.length);
    logits.set(data);
    if (monochrome && this.lineNoise) {
      this.known.calibration.line_bias_changes!.forEach((change, label) => (logits[label]! += change));
    }
    [...this.layers, ...this.ownLayers].forEach(({ weight, bias, lineBias }, number) => {
      let sum = monochrome ? lineBias : bias;
      for (let column = 0; column < weight.length; column++) sum += weight[column]! * asked[column]!;
      logits[data.length + number] = sum;
    });
    return { logits, toMeans, toGallery: joined(this.gallery.cosines(embedding), this.ownGallery.cosines(embedding)) };
  }
}

/** Unit length: the mean of embeddings. */
function meanEmbedding(embeddings: Float32Array[]): Float32Array {
  const mean = meanOf(embeddings);
  const length = lengthOf(mean);
  return mean.map((value) => value / length);
}

function joined(first: Float32Array, second: Float32Array): Float32Array {
  const out = new Float32Array(first.length + second.length);
  out.set(first);
  out.set(second, first.length);
  return out;
}

function firstLargest(values: Float64Array): number {
  let best = 0;
  values.forEach((value, place) => {
    if (value > values[best]!) best = place;
  });
  return best;
}
