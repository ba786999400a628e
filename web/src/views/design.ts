// Is my design original? As `crystal-eyes check` answers, in plain words.

import { who, type Answer, type Head } from "../recognizer/answers.ts";
import { closest, of100 } from "../sentences.ts";
import { say } from "../words.ts";
import { bar, element, headSection, pictureArticle } from "./elements.ts";
import { similarity } from "./who.ts";

/** catalogue: number of its characters. */
export function showDesign(file: File, answer: Answer, catalogue: number): HTMLElement {
  return pictureArticle(file, answer, answer.heads.map((head, place) => showHead(head, place, catalogue)));
}

function showHead(head: Head, place: number, count: number): HTMLElement {
  const values = { who: who(closest(head)), count };
  const list = head.nearest.map((one) => element("li", "", `${who(one)} · ${similarity(one.similarity)}`, bar(one.similarity)));
  return headSection(
    place,
    element("p", `sentence ${head.verdict}`, say(`design.${head.verdict}`, values)),
    element("h4", "", say("nearest")),
    element("ol", "names", ...list),
    element("h4", "", say("design.others")),
    element("p", "inside", say("design.inside", { share: of100(head.p_value) })),
    element("p", "outside", say("design.outside", { share: of100(head.stranger_share) })),
    element("h4", "", say("design.means")),
    element("p", "means", say(`design.means.${head.verdict}`, values) + (head.monochrome ? say("sentence.sketch") : "")),
    element("p", "limits", say("design.limits")),
  );
}
