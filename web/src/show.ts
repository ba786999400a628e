// The answer for a picture as elements of the page.

import { who, type Answer, type Head } from "./recognizer/answers.ts";

const SVG = "http://www.w3.org/2000/svg";

export function showAnswer(file: File, answer: Answer): HTMLElement {
  const article = element("article", "answer");
  const figure = element("figure", "picture");
  const image = document.createElement("img");
  image.src = URL.createObjectURL(file);
  image.onload = () => URL.revokeObjectURL(image.src);
  image.alt = file.name;
  figure.append(image, boxes(answer));
  const count = answer.heads.length;
  article.append(element("h2", "", `${file.name}: ${count === 0 ? "no head found" : count === 1 ? "1 head" : `${count} heads`}`));
  article.append(figure, ...answer.heads.map(showHead));
  return article;
}

export function showFailure(name: string, message: string): HTMLElement {
  const article = element("article", "answer failed");
  article.append(element("h2", "", name), element("p", "", message));
  article.setAttribute("role", "alert");
  return article;
}

function boxes({ width, height, heads }: Answer): SVGElement {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.setAttribute("aria-hidden", "true");
  for (const head of heads) {
    const [left, top, right, bottom] = head.box;
    const rect = document.createElementNS(SVG, "rect");
    Object.entries({ x: left, y: top, width: right - left, height: bottom - top, class: "box" }).forEach(([name, value]) =>
      rect.setAttribute(name, String(value)),
    );
    svg.append(rect);
  }
  return svg;
}

function showHead(head: Head, place: number): HTMLElement {
  const section = element("section", "head");
  section.append(element("h3", "", `Head ${place + 1}`), element("p", "sentence", head.sentence));
  const list = element("ol", "names");
  const unknown = head.verdict === "unknown";
  for (const one of unknown ? head.nearest : head.candidates) {
    const share = "probability" in one ? `${(100 * one.probability).toFixed(1)}%` : `similarity ${one.similarity.toFixed(2)}`;
    list.append(element("li", "", `${who(one)} · ${share}`));
  }
  section.append(list);
  return section;
}

function element(tag: string, name: string, text = ""): HTMLElement {
  const one = document.createElement(tag);
  if (name) one.className = name;
  if (text) one.textContent = text;
  return one;
}
