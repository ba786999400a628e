import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { fitting, LANGUAGES, say, setLanguage } from "../src/words.ts";

const SOURCES = new URL("../src/", import.meta.url);
const placeholders = (entry: unknown) => [...new Set(JSON.stringify(entry).match(/\{\w+\}/g))].sort();

test.each(Object.keys(LANGUAGES))("the words of %s are complete, and name the same values", (language) => {
  const [english, words] = [LANGUAGES["en"]!, LANGUAGES[language]!];
  expect(Object.keys(words).sort()).toEqual(Object.keys(english).sort());
  for (const key of Object.keys(english) as (keyof typeof english)[]) {
    // a singular may leave the count out
    const other = (entry: unknown) => (typeof entry === "object" ? (entry as { other: string }).other : entry);
    expect(placeholders(other(words[key])), key).toEqual(placeholders(other(english[key])));
  }
});

test("the browser's languages choose the words", () => {
  expect(fitting(["fr-FR", "ja-JP", "en"])).toBe("ja");
  expect(fitting(["xx"])).toBe("en");
  setLanguage("ja");
  expect(say("mine.heads", { count: 1 })).toBe("頭部 1\u00a0件");
  setLanguage("en");
  expect([1, 2, 3306].map((count) => say("mine.heads", { count }))).toEqual(["1 head", "2 heads", "3,306 heads"]);
  expect(say("left.duplicate", { name: "{name} $& b" })).toBe("duplicate of {name} $& b");
});

test("every word is used, and no text stands in the page or its code", () => {
  const files = readdirSync(SOURCES, { recursive: true, encoding: "utf-8" }).filter((name) => name.endsWith(".ts"));
  const page = readFileSync(new URL("../index.html", import.meta.url), "utf-8");
  const code = page + files.map((name) => readFileSync(new URL(name, SOURCES), "utf-8")).join();
  const built = ["intro.", "sentence.", "design.known", "design.unsure", "design.unknown", "design.means."];
  const used = (key: string) => code.includes(`"${key}"`) || code.includes(`%say.${key}%`) || built.some((start) => key.startsWith(start));
  expect(Object.keys(LANGUAGES["en"]!).filter((key) => key !== "language" && !used(key))).toEqual([]);
  const body = page.slice(page.indexOf("<body>")).replace(/<[^>]*>|%say\.\w+%/g, "");
  expect(body.trim()).toBe("");
});
