// Calibrated confidence of the detector: crystal_eyes/detector/calibration.py.

const EDGE = 1e-6; // network outputs this close to 0 or 1 have no finite logit

/** The logit of the probability that a box is a head is slope * logit of the network's output + intercept. */
export interface Platt {
  slope: number;
  intercept: number;
}

/** The probability, a 32-bit number, at an output of the network, from 0 to 1. */
export function calibrated({ slope, intercept }: Platt, output: number): number {
  return Math.fround(1 / (1 + Math.exp(-(slope * logit(output) + intercept))));
}

/** Log-odds of a number from 0 to 1, kept finite. */
export function logit(value: number): number {
  const inside = Math.min(Math.max(value, EDGE), 1 - EDGE);
  return Math.log(inside / (1 - inside));
}
