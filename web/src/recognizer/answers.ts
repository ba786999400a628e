// The answer for one picture, with the fields of `crystal-eyes recognize --json`: crystal_eyes/recognizer/answers.py.

import type { Box } from "./boxes.ts";
import { verdict, type Verdict } from "./calibration.ts";
import { round } from "./numbers.ts";

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
  sentence: string;
}

export interface Answer {
  width: number; // of the upright picture, pixels
  height: number;
  heads: Head[]; // most confident first
}

export function head(values: HeadValues): Head {
  const found = verdict(values.p_value, values.stranger_share);
  return { ...values, verdict: found, sentence: sentence(values, found) };
}

function sentence(head: HeadValues, found: Verdict): string {
  const sketch = head.monochrome ? " Line art and gray pictures give less reliable answers than colored ones." : "";
  if (found === "unknown") {
    return (
      `Unlike everything in this catalogue: ${of100(head.p_value)} in 100 heads that it names right are this ` +
      `dissimilar. The nearest character is ${who(head.nearest[0]!)}.${sketch}`
    );
  }
  if (found === "known") {
    return (
      `Close to ${who(head.candidates[0]!)}: ${of100(head.stranger_share)} in 100 heads of characters outside this ` +
      `catalogue come this close to a character in it.${sketch}`
    );
  }
  return (
    `Not certain: this may be ${who(head.candidates[0]!)} or a character outside this catalogue; ` +
    `${of100(head.stranger_share)} in 100 heads of characters outside it come as close to one in it.${sketch}`
  );
}

/** The character and, unless the name already says it, the series. */
export function who(one: { character: string; series: string }): string {
  return fullName(one.character, one.series);
}

export function fullName(character: string, series: string): string {
  return !series || character.includes(`(${series})`) ? character : `${character} (${series})`;
}

function of100(share: number): string {
  return share < 0.01 ? "fewer than 1" : String(round(100 * share));
}
