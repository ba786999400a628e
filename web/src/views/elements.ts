// What both views of a picture show.

import type { Answer } from "../recognizer/answers.ts";
import { say } from "../words.ts";

const SVG = "http://www.w3.org/2000/svg";
const PREVIEW = 720; // px: longer side of a picture that is shown. Browsers keep all the pixels of what they have shown
const previews = new WeakMap<File, Promise<Blob>>();

export function element<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  name: string,
  ...content: (string | Node)[]
): HTMLElementTagNameMap[Tag] {
  const one = document.createElement(tag);
  if (name) one.className = name;
  one.append(...content.filter((part) => part !== ""));
  return one;
}

/** The article of a picture: its name, the picture with framed heads, and a section for each head. */
export function pictureArticle(file: File, answer: Answer, heads: HTMLElement[]): HTMLElement {
  const count = answer.heads.length;
  const title = count ? say("picture.answer", { name: file.name, count }) : say("picture.none", { name: file.name });
  const image = document.createElement("img");
  void preview(file, answer).then((shown) => (image.src = URL.createObjectURL(shown)));
  image.onload = () => URL.revokeObjectURL(image.src);
  image.alt = say("picture.alt", { name: file.name });
  const figure = element("figure", "picture", image, frames(answer));
  const below = count ? element("div", "heads", ...heads) : element("p", "hint", say("picture.none.hint"));
  return element("article", "answer", element("h2", "", title), figure, below);
}

function preview(file: File, { width, height }: Answer): Promise<Blob> {
  const scale = PREVIEW / Math.max(width, height);
  if (scale >= 1) return Promise.resolve(file);
  if (!previews.has(file)) previews.set(file, reduced(file, Math.ceil(width * scale), Math.ceil(height * scale)).catch(() => file));
  return previews.get(file)!;
}

async function reduced(file: File, width: number, height: number): Promise<Blob> {
  const bitmap = await createImageBitmap(file, { imageOrientation: "from-image" });
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d")!;
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, width, height);
  bitmap.close();
  return canvas.convertToBlob({ type: "image/webp", quality: 0.9 });
}

export function headSection(place: number, ...content: HTMLElement[]): HTMLElement {
  return element("section", "head", element("h3", "", say("head", { number: place + 1 })), ...content);
}

export function failureArticle(name: string, message: string): HTMLElement {
  const article = element("article", "answer failed", element("h2", "", name), element("p", "", message));
  article.setAttribute("role", "alert");
  return article;
}

/** A share or a similarity from 0 to 1 as a bar; its text stands beside it. */
export function bar(value: number): HTMLElement {
  const one = element("progress", "bar");
  one.max = 1;
  one.value = Math.max(0, value);
  one.setAttribute("aria-hidden", "true");
  return one;
}

function frames({ width, height, heads }: Answer): SVGElement {
  const svg = shape("svg", { viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" });
  const size = Math.max(width, height) / 28;
  heads.forEach(({ box: [left, top, right, bottom] }, place) => {
    const frame = { x: left, y: top, width: right - left, height: bottom - top };
    svg.append(shape("rect", { ...frame, class: "outline" }), shape("rect", { ...frame, class: "box" }));
    if (heads.length > 1) {
      const number = shape("text", { x: left + size / 4, y: top + size, "font-size": size, class: "number" });
      number.textContent = String(place + 1);
      svg.append(number);
    }
  });
  return svg;
}

function shape(tag: string, attributes: Record<string, string | number>): SVGElement {
  const one = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) one.setAttribute(name, String(value));
  return one;
}
