// How dissimilar a head is to all known characters: crystal_eyes/recognizer/unlikeness.py.

import { UserError } from "./messages.ts";
import { maximum, roundTo } from "./numbers.ts";

export const COHORT = 10;
const COHORT_HEADS = 2500;
const COHORT_NEAREST = 50;
const NEAREST = 5;

/** What naming a head is based on. */
export interface Evidence {
  logits: Float32Array; // by character
  toMeans: Float32Array; // by character: cosine to its mean embedding
  toGallery: Float32Array; // by reference head: cosine
}

export interface StoredUnlikeness {
  names: string[];
  shifts: number[];
  scales: number[];
  weights?: number[];
}

const SCORES: Record<string, (evidence: Evidence) => number> = {
  probability: (evidence) => -maximum(evidence.logits) - energy(evidence),
  max_logit: (evidence) => -maximum(evidence.logits),
  energy,
  mean: (evidence) => 1 - maximum(evidence.toMeans),
  neighbour: (evidence) => 1 - maximum(evidence.toGallery),
  ahead,
  cohort,
  crowd: (evidence) => 1 - meanOfLargest(evidence.toGallery, NEAREST),
};

function energy({ logits }: Evidence): number {
  const most = maximum(logits);
  let sum = 0;
  for (const logit of logits) sum += Math.exp(logit - most);
  return -(most + Math.log(sum));
}

function ahead({ toMeans }: Evidence): number {
  const ordered = Float32Array.from(toMeans).sort().reverse();
  const others = ordered.subarray(1, 1 + COHORT);
  return (others.length ? mean(others) : 0) - ordered[0]!;
}

function cohort({ toMeans, toGallery }: Evidence): number {
  const count = Math.min(toGallery.length, COHORT_HEADS);
  const step = count > 1 ? (toGallery.length - 1) / (count - 1) : 0;
  const some = new Float32Array(count);
  for (let number = 0; number < count; number++) {
    some[number] = toGallery[number === count - 1 && number ? toGallery.length - 1 : Math.floor(number * step)]!;
  }
  return meanOfLargest(some, COHORT_NEAREST) - maximum(toMeans);
}

export function meanOfLargest(values: Float32Array, count: number): number {
  const ordered = Float32Array.from(values).sort();
  return mean(ordered.subarray(Math.max(0, ordered.length - count)));
}

function mean(values: Float32Array): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** The weighted sum of standardized scores. */
export function unlikeness(by: StoredUnlikeness, evidence: Evidence): number {
  let sum = 0;
  by.names.forEach((name, place) => {
    const score = SCORES[name];
    if (!score) throw new UserError("error.score", { name });
    sum += ((score(evidence) - by.shifts[place]!) / by.scales[place]!) * (by.weights?.[place] ?? 1);
  });
  return roundTo(sum, 5);
}
