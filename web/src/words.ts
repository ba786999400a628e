// What the page says, in the visitor's language: words/LANGUAGE.json. A new file there is a new language.

import { UserError, type Values, type WordKey } from "./recognizer/messages.ts";

type Entry = string | { one?: string; other: string };
type Words = Record<WordKey, Entry>;

const files = import.meta.glob<Words>("./words/*.json", { eager: true, import: "default" });
export const LANGUAGES: Record<string, Words> = Object.fromEntries(
  Object.entries(files).map(([path, words]) => [/([^/]+)\.json$/.exec(path)![1]!, words]),
);
const FALLBACK = "en";
const STORED = "crystal-eyes language";

let language = FALLBACK;

export function currentLanguage(): string {
  return language;
}

/** The first of the wanted languages that there are words for. wanted: tags such as ja-JP, best first. */
export function fitting(wanted: readonly string[]): string {
  return wanted.map((tag) => tag.split("-")[0]!.toLowerCase()).find((tag) => tag in LANGUAGES) ?? FALLBACK;
}

/** What the visitor chose at an earlier visit, or else the browser's language. */
export function rememberedLanguage(): string {
  let stored: string | null = null;
  try {
    stored = localStorage.getItem(STORED);
  } catch {
    // storage is forbidden: the browser's language
  }
  return fitting([...(stored ? [stored] : []), ...navigator.languages]);
}

export function setLanguage(chosen: string): void {
  language = fitting([chosen]);
}

export function rememberLanguage(chosen: string): void {
  setLanguage(chosen);
  try {
    localStorage.setItem(STORED, chosen);
  } catch {
    // storage is forbidden or full: the choice holds for this visit
  }
}

/** The words of a key. values.count chooses between one and several; numbers are written as the language does. */
export function say(key: WordKey, values: Values = {}): string {
  const entry = LANGUAGES[language]![key] ?? LANGUAGES[FALLBACK]![key];
  const isOne = typeof values["count"] === "number" && new Intl.PluralRules(language).select(values["count"]) === "one";
  const text = typeof entry === "string" ? entry : ((isOne ? entry.one : undefined) ?? entry.other);
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => {
    const value = values[name];
    return value === undefined ? whole : typeof value === "number" ? value.toLocaleString(language) : value;
  });
}

export function sayError(error: unknown): string {
  if (error instanceof UserError) return say(error.key, error.values);
  return say("error.other", { why: error instanceof Error ? error.message : String(error) });
}
