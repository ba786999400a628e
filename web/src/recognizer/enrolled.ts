// How unlike an enrolled character a head is: crystal_eyes/recognizer/enrolled_unlikeness.py.

import { Calibration, type StoredCalibration } from "./calibration.ts";
import { maximum, roundTo } from "./numbers.ts";
import { COHORT, meanOfLargest } from "./unlikeness.ts";

type Kind = "colour" | "line"; // keys of calibration.json

export type StoredEnrolledUnlikeness = { distance: string } & Record<Kind, Record<string, StoredCalibration>>;

/** The mean cosine to the nearest of the trained characters' means; large for heads in a common style. */
export function cohortOf(toMeans: Float32Array): number {
  return meanOfLargest(toMeans, COHORT);
}

export class EnrolledUnlikeness {
  private readonly calibrations: Record<Kind, Map<number, Calibration>>;

  constructor(private readonly stored: StoredEnrolledUnlikeness) {
    const read = (kind: Kind) =>
      new Map(Object.entries(stored[kind]).map(([count, values]) => [Number(count), new Calibration(values)]));
    this.calibrations = { colour: read("colour"), line: read("line") };
  }

  /**
   * p-value and share of strangers of a head for one enrolled character.
   * toMean: cosine to its mean embedding; toOwn: cosine to its reference heads; cohort: as cohortOf returns it.
   */
  measure(toMean: number, toOwn: Float32Array, cohort: number, line: boolean): { pValue: number; strangerShare: number } {
    const { distance } = this.stored;
    const exact = distance === "neighbour" ? 1 - maximum(toOwn) : (distance === "mean" ? 1 : cohort) - toMean;
    const unlike = roundTo(exact, 5);
    const counts = this.calibrations[line ? "line" : "colour"];
    const sizes = [...counts.keys()];
    const fitting = sizes.filter((count) => count <= toOwn.length);
    const calibration = counts.get(fitting.length ? Math.max(...fitting) : Math.min(...sizes))!;
    return { pValue: calibration.pValue(unlike), strangerShare: calibration.strangerShare(unlike) };
  }
}
