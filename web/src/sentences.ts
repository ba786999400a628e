// The verdict on a head in words: crystal_eyes/recognizer/answers.py. It is about this catalogue only and makes no legal claim.

import { who, type Head } from "./recognizer/answers.ts";
import { round } from "./recognizer/numbers.ts";
import { say } from "./words.ts";

export function sentence(head: Head): string {
  const share = of100(head.verdict === "unknown" ? head.p_value : head.stranger_share);
  return say(`sentence.${head.verdict}`, { share, who: who(closest(head)) }) + (head.monochrome ? say("sentence.sketch") : "");
}

/** Whom the verdict is about. */
export function closest(head: Head): { character: string; series: string } {
  return head.verdict === "unknown" ? head.nearest[0]! : head.candidates[0]!;
}

export function of100(share: number): string {
  return share < 0.01 ? say("share.small") : say("share", { share: round(100 * share) });
}
