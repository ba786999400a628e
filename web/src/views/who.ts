// Who is this? As `crystal-eyes recognize` answers.

import { who, type Answer, type Head } from "../recognizer/answers.ts";
import { sentence } from "../sentences.ts";
import { currentLanguage, say } from "../words.ts";
import { bar, element, headSection, pictureArticle } from "./elements.ts";

export function showWho(file: File, answer: Answer): HTMLElement {
  return pictureArticle(file, answer, answer.heads.map(showHead));
}

function showHead(head: Head, place: number): HTMLElement {
  const unknown = head.verdict === "unknown"; // percentages would read like an answer
  const names = unknown
    ? head.nearest.map((one) => element("li", "", `${who(one)} · ${similarity(one.similarity)}`, bar(one.similarity)))
    : head.candidates.map((one) => element("li", "", `${who(one)} · ${percent(one.probability)}`, bar(one.probability)));
  const content = [
    element("p", `sentence ${head.verdict}`, sentence(head)),
    element("h4", "", say(unknown ? "nearest" : "candidates")),
    element("ol", "names", ...names),
  ];
  if (!unknown && head.series) {
    const share = percent(head.series.probability);
    content.push(element("p", "series", say("series.likely", { series: head.series.name, share })));
  }
  return headSection(place, ...content);
}

export function similarity(value: number): string {
  return say("similarity", { value: value.toLocaleString(currentLanguage(), { minimumFractionDigits: 2, maximumFractionDigits: 2 }) });
}

export function percent(share: number): string {
  const digits = { minimumFractionDigits: 1, maximumFractionDigits: 1 };
  return share.toLocaleString(currentLanguage(), { style: "percent", ...digits });
}
