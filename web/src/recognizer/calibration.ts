// Raw scores to calibrated probabilities, conformal p-values and shares: crystal_eyes/recognizer/calibration.py.

import { maximum, searchSorted } from "./numbers.ts";

const UNKNOWN_LEVEL = 0.05;
const KNOWN_LEVEL = 0.02;

export type Verdict = "known" | "unsure" | "unknown";

export interface StoredCalibration {
  temperature?: number;
  known: number[];
  strangers: number[];
}

export function verdict(pValue: number, strangerShare: number): Verdict {
  if (pValue <= UNKNOWN_LEVEL) return "unknown";
  return strangerShare <= KNOWN_LEVEL ? "known" : "unsure";
}

/** How probable it is that a head shows a known character, if as many heads show strangers. */
export function knownProbability(pValue: number, strangerShare: number): number {
  return pValue / (pValue + strangerShare);
}

/** The calibration of one kind of heads: colored ones, or line art and gray ones. */
export class Calibration {
  private readonly temperature: number;
  private readonly known: Float64Array;
  readonly strangers: Float64Array;

  constructor(values: StoredCalibration) {
    this.temperature = values.temperature ?? 1;
    this.known = Float64Array.from(values.known).sort();
    this.strangers = Float64Array.from(values.strangers).sort();
  }

  /** Softmax at the temperature. */
  probabilities(logits: Float32Array): Float64Array {
    const most = maximum(logits);
    const powers = Float64Array.from(logits, (logit) => Math.exp((logit - most) / this.temperature));
    const sum = powers.reduce((total, power) => total + power, 0);
    return powers.map((power) => power / sum);
  }

  pValue(unlikeness: number): number {
    const atLeast = this.known.length - searchSorted(this.known, unlikeness, "left");
    return (1 + atLeast) / (1 + this.known.length);
  }

  strangerShare(unlikeness: number): number {
    const atMost = searchSorted(this.strangers, unlikeness, "right");
    return (1 + atMost) / (1 + this.strangers.length);
  }
}
