// The visitor's own characters: adds and removes them, saves them to a file and opens one.

import type { Recognizer } from "../client.ts";
import { enroll, NoHeadError, renewed, type Enrolled, type Given, type Why } from "../own/enrolling.ts";
import { read, write } from "../own/file.ts";
import { Store, type Kept } from "../own/store.ts";
import { who } from "../recognizer/answers.ts";
import { sentence } from "../sentences.ts";
import { say, sayError } from "../words.ts";
import { element } from "./elements.ts";
import { percent } from "./who.ts";

const one = <T extends HTMLElement>(id: string) => document.getElementById(id) as T;

export class OwnCharacters {
  private kept: Kept[] = [];
  private messages: () => (string | HTMLElement)[] = () => [];
  private busy = false;

  private constructor(
    private readonly recognizer: Recognizer,
    private readonly store: Store,
    private readonly onChange: () => void,
  ) {}

  /** onChange: who is known has changed. Throws UserError: nothing can be kept in this browser. */
  static async open(recognizer: Recognizer, onChange: () => void): Promise<OwnCharacters> {
    const own = new OwnCharacters(recognizer, await Store.open(document.baseURI), onChange);
    own.kept = await renewed(recognizer, own.store);
    await recognizer.setOwn(own.kept);
    own.listen();
    own.show();
    return own;
  }

  /** Show everything anew, in the language that is set. */
  show(): void {
    one("own").replaceChildren(...this.kept.map((character) => this.item(character)));
    one("none").hidden = this.kept.length > 0;
    one<HTMLButtonElement>("save").disabled = !this.kept.length;
    one("outcome").replaceChildren(...this.messages().map((line) => (typeof line === "string" ? element("p", "", line) : line)));
  }

  private listen(): void {
    const form = one<HTMLFormElement>("add");
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const [character, series] = [one<HTMLInputElement>("name").value, one<HTMLInputElement>("series").value];
      const files = [...(one<HTMLInputElement>("heads").files ?? [])];
      const pictures = files.map((file) => ({ name: file.name, picture: file, isCrop: false }));
      void this.change(async () => {
        const done = await this.enroll(character, series, pictures);
        form.reset();
        return () => outcome(done);
      });
    });
    one("save").addEventListener("click", () => this.save());
    const open = one<HTMLInputElement>("open");
    open.addEventListener("change", () => {
      const file = open.files?.[0];
      if (file) void this.change(() => this.import(file)).then(() => (open.value = ""));
    });
    for (const field of document.querySelectorAll<HTMLInputElement | HTMLButtonElement>("#mine input, #mine button")) {
      if (field.id !== "save") field.disabled = false;
    }
  }

  private enroll(character: string, series: string, pictures: Given[]): Promise<Enrolled> {
    return enroll(this.recognizer, this.store, { character, series, pictures }, (name) => {
      one("outcome").replaceChildren(say("working", { name }));
    });
  }

  /** Each character is added or not as a whole; the messages say which. */
  private async import(file: File): Promise<() => (string | HTMLElement)[]> {
    const lines: (() => (string | HTMLElement)[])[] = [];
    for (const { character, series, heads } of await read(file)) {
      try {
        const pictures = heads.map(({ name, picture }) => ({ name, picture: new Blob([picture]), isCrop: true }));
        const done = await this.enroll(character, series, pictures);
        lines.push(() => outcome(done));
      } catch (error) {
        lines.push(() => [failure(error)]);
      }
    }
    return () => lines.flatMap((say) => say());
  }

  /** Do something, one at a time, and say how it went. */
  private async change(work: () => Promise<() => (string | HTMLElement)[]>): Promise<void> {
    if (this.busy) return;
    this.busy = true;
    one("mine").setAttribute("aria-busy", "true");
    try {
      this.messages = await work();
    } catch (error) {
      this.messages = () => [failure(error)];
    }
    this.kept = await this.store.all();
    await this.recognizer.setOwn(this.kept);
    this.busy = false;
    one("mine").removeAttribute("aria-busy");
    this.show();
    this.onChange();
  }

  private item(character: Kept): HTMLElement {
    const name = who(character);
    const remove = element("button", "", say("mine.remove"));
    remove.type = "button";
    remove.setAttribute("aria-label", say("mine.remove.label", { who: name }));
    remove.addEventListener("click", () => {
      void this.change(async () => {
        await this.store.remove(character.id);
        return () => [say("mine.removed", { who: name })];
      }).then(() => one("name").focus());
    });
    const pictures = character.heads.map((head) => {
      const image = document.createElement("img");
      image.src = URL.createObjectURL(new Blob([head.picture]));
      image.onload = () => URL.revokeObjectURL(image.src);
      image.alt = say("mine.head.alt", { who: name });
      image.title = head.name;
      return image;
    });
    const count = say("mine.heads", { count: character.heads.length });
    return element("li", "", element("h3", "", `${name} · ${count}`), element("div", "thumbnails", ...pictures), remove);
  }

  private save(): void {
    const link = element("a", "");
    link.href = URL.createObjectURL(new Blob([write(this.kept)], { type: "application/json" }));
    link.download = say("mine.file");
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000); // the browser may ask where to first
  }
}

function outcome(done: Enrolled): (string | HTMLElement)[] {
  const [name, count, all] = [who(done), done.heads, done.heads + done.headsBefore];
  return [
    say(done.headsBefore ? "mine.grown" : "mine.added", { who: name, count, all }),
    ...done.leftOut.map(({ name, why }) => say("left.out", { name, why: reason(why) })),
    ...done.lookAlikes.map(({ name, head }) => {
      const best = head.candidates[0]!;
      return say("look.alike", { name, who: who(best), probability: percent(best.probability), sentence: sentence(head) });
    }),
  ];
}

function reason({ key, values }: Why): string {
  return say(key, values);
}

function failure(error: unknown): HTMLElement {
  const text =
    error instanceof NoHeadError ? say(error.key, { ...error.values, why: reason(error.reasons[0]!) }) : sayError(error);
  const line = element("p", "failed", text);
  line.setAttribute("role", "alert");
  return line;
}
