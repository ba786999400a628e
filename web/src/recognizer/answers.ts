// The answer for one picture, with the fields of `crystal-eyes recognize --json`: crystal_eyes/recognizer/answers.py. Its
// sentences are in src/sentences.ts, because they depend on the visitor's language.

import type { Box } from "./boxes.ts";
import { verdict, type Verdict } from "./calibration.ts";

export interface Candidate {
  character: string;
  series: string; // "" where unknown
  probability: number;
  original_name: string; // "" where unknown
}

export interface Reference {
  character: string;
  series: string;
  similarity: number; // cosine
  original_name: string;
  reference: number; // row of the gallery, for its thumbnail
}

export interface LikelySeries {
  name: string;
  probability: number;
}

export interface HeadValues {
  box: Box; // left, top, right, bottom in pixels of the upright picture
  confidence: number; // of the detector, that it is a head; 1 where the caller said so
  whole_picture: boolean; // the picture is itself a head crop
  monochrome: boolean; // line art or grayscale
  candidates: Candidate[]; // five, best first
  nearest: Reference[]; // most similar first, one per character
  unlikeness: number;
  p_value: number;
  stranger_share: number;
  series: LikelySeries | null;
  nobody: number; // probability that it is no character of the catalogue
}

export interface Head extends HeadValues {
  verdict: Verdict;
}

export interface Answer {
  width: number; // of the upright picture, pixels
  height: number;
  heads: Head[]; // most confident first
}

export function head(values: HeadValues): Head {
  return { ...values, verdict: verdict(values.p_value, values.stranger_share) };
}

/** The character and, unless the name already says it, the series. */
export function who(one: { character: string; series: string }): string {
  return fullName(one.character, one.series);
}

export function fullName(character: string, series: string): string {
  return !series || character.includes(`(${series})`) ? character : `${character} (${series})`;
}
