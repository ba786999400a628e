import { loadBundle, type Recognizer } from "./client.ts";
import { keepOffline } from "./offline.ts";
import type { Answer } from "./recognizer/answers.ts";
import type { Search } from "./recognizer/finding.ts";
import type { WordKey } from "./recognizer/messages.ts";
import { showDesign } from "./views/design.ts";
import { failureArticle } from "./views/elements.ts";
import { OwnCharacters } from "./views/mine.ts";
import { showWho } from "./views/who.ts";
import { currentLanguage, LANGUAGES, rememberedLanguage, rememberLanguage, say, sayError, setLanguage } from "./words.ts";

type View = "who" | "design" | "mine";
const VIEWS: readonly View[] = ["who", "design", "mine"];
const SEARCHES: Record<string, Search> = { normal: {}, high: { detail: "high" }, head: { head: true } }; // by value of #search
type Shown = { file: File; answer: Answer } | { file: File; error: unknown };

const one = <T extends HTMLElement>(id: string) => document.getElementById(id) as T;
const [progress, loading, status, answers] = [one<HTMLProgressElement>("progress"), one("loading"), one("status"), one("answers")];
const [input, search] = [one<HTMLInputElement>("pictures"), one<HTMLSelectElement>("search")];
let recognizer: Recognizer | null = null;
let own: OwnCharacters | null = null;
let view: View = "who";
let shown: Shown[] = []; // newest first
let statusText = () => "";

function main(): void {
  setLanguage(rememberedLanguage());
  const choice = one<HTMLSelectElement>("language");
  choice.append(...Object.entries(LANGUAGES).map(([tag, words]) => new Option(String(words.language), tag)));
  for (const option of choice.options) option.lang = option.value;
  choice.value = currentLanguage();
  choice.addEventListener("change", () => {
    rememberLanguage(choice.value);
    sayEverything();
  });
  window.addEventListener("hashchange", () => showView());
  sayEverything();
  void start();
}

async function start(): Promise<void> {
  const offline = await keepOffline();
  try {
    recognizer = await loadBundle(document.baseURI, (loaded, total) => {
      progress.value = total ? loaded / total : 0;
    });
  } catch (error) {
    setStatus(() => sayError(error));
    offline.activateUpdate(); // the error may be that of a version of the site that has been replaced
    return;
  } finally {
    loading.hidden = true;
  }
  try {
    own = await OwnCharacters.open(recognizer, () => void answerAgain());
  } catch (error) {
    one("outcome").textContent = sayError(error);
  }
  listen();
  setStatus(() => say("ready"));
  setReady((await offline.isComplete()) ? "ready.offline" : "ready.online");
  offline.activateUpdate(); // after the answer: an update removes what the old version answers about
}

function listen(): void {
  input.disabled = search.disabled = false;
  input.addEventListener("change", () => {
    void answerAll([...(input.files ?? [])]).then(() => (input.value = ""));
  });
  search.addEventListener("change", () => void answerAgain());
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    given([...(event.dataTransfer?.files ?? [])]);
  });
  document.addEventListener("paste", (event) => given([...(event.clipboardData?.files ?? [])]));
}

/** Dropped or pasted files belong to the view that is shown. */
function given(files: File[]): void {
  if (view !== "mine") return void answerAll(files);
  const transfer = new DataTransfer();
  for (const file of files) transfer.items.add(file);
  if (files.length) one<HTMLInputElement>("heads").files = transfer.files;
}

let readyKey: WordKey = "ready";
let working = 0;

function setReady(key: WordKey): void {
  readyKey = key;
  if (!working) setStatus(() => say(readyKey));
}

async function answerAll(files: File[]): Promise<void> {
  working++;
  for (const file of files) {
    const one = await answered(file);
    shown = [one, ...shown];
    answers.prepend(articleOf(one));
  }
  if (!--working) setStatus(() => say(readyKey));
}

async function answered(file: File): Promise<Shown> {
  setStatus(() => say("working", { name: file.name }));
  const how = search.value;
  let one: Shown;
  try {
    one = { file, answer: await recognizer!.recognize(file, SEARCHES[how]) };
  } catch (error) {
    one = { file, error };
  }
  return how === search.value ? one : answered(file); // the visitor has chosen another way meanwhile
}

/** Own characters have changed, or how pictures are searched: the answers for the pictures that are shown may have changed too. */
async function answerAgain(): Promise<void> {
  working++;
  for (const { file } of shown) {
    const again = await answered(file);
    const place = shown.findIndex((one) => one.file === file); // more may have been shown meanwhile
    shown[place] = again;
    answers.children[place]!.replaceWith(articleOf(again));
  }
  if (!--working) setStatus(() => say(readyKey));
}

function articleOf(one: Shown): HTMLElement {
  if ("error" in one) return failureArticle(one.file.name, sayError(one.error));
  if (view === "design") return showDesign(one.file, one.answer, recognizer!.characters.length);
  return showWho(one.file, one.answer);
}

function showView(): void {
  view = VIEWS.find((name) => location.hash === `#${name}`) ?? "who";
  for (const name of VIEWS) {
    const link = one(`view-${name}`);
    if (name === view) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  one("intro").textContent = say(`intro.${view}`);
  one("ask").hidden = view === "mine";
  one("mine").hidden = view !== "mine";
  answers.replaceChildren(...shown.map(articleOf));
}

function setStatus(text: () => string): void {
  statusText = text;
  status.textContent = text();
}

/** All words of the page, in the language that is set. */
function sayEverything(): void {
  document.documentElement.lang = currentLanguage();
  for (const part of document.querySelectorAll<HTMLElement>("[data-say]")) part.textContent = say(part.dataset["say"] as WordKey);
  for (const part of document.querySelectorAll<HTMLElement>("[data-label]")) part.ariaLabel = say(part.dataset["label"] as WordKey);
  status.textContent = statusText();
  own?.show();
  showView();
}

main();
