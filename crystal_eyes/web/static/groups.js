// What is done with groups: a name with one click or typed, several groups that are one, heads that are somebody else.
const main = document.querySelector("main");
const cards = main.querySelector(".groups");
const bar = main.querySelector(".bar");
const all = (selector) => [...cards.querySelectorAll(selector)];
const plural = (count, one) => `${count} ${one}${count === 1 ? "" : "s"}`;

// card: where it was asked for, and where it is said why it was not done
const send = async (asked, card) => {
  if (main.ariaBusy === "true") return;
  main.ariaBusy = "true"; // one change at a time: the next one is about groups as they are then
  const shown = all(".group").map((one) => Number(one.dataset.group));
  const body = JSON.stringify({ ...asked, shown, whole: main.dataset.whole === "true" });
  try {
    const response = await fetch("groups", { method: "POST", body });
    const text = await response.text();
    if (!response.ok) return say(text, card);
    // the server's HTML has every name escaped, and the content security policy forbids inline scripts
    cards.replaceChildren(document.createRange().createContextualFragment(text));
  } catch {
    say("The server can't be reached: check that it is running and try again.", card);
  } finally {
    main.ariaBusy = "false";
    count();
    cards.querySelector(".done")?.scrollIntoView({ block: "nearest" });
  }
};

const say = (sentence, card) => {
  all(".done").forEach((one) => one.remove());
  const line = document.createElement("p");
  line.className = "note done failed";
  line.textContent = sentence;
  card.prepend(line);
};

// Naming

cards.addEventListener("click", ({ target }) => {
  const button = target.closest(".suggested");
  if (button) name(button, button.dataset.name, button.dataset.series);
});
cards.addEventListener("submit", (event) => {
  event.preventDefault();
  const { name: typed, series } = event.target.elements;
  name(event.target, typed.value, series.value);
});
const name = (element, text, series) => {
  const card = element.closest(".group");
  send({ do: "name", group: Number(card.dataset.group), name: text, series }, card);
};

// Selecting

const groups = () => all(".pick:checked").map((one) => Number(one.closest(".group").dataset.group));
const heads = () => all(".crops input:checked").map((one) => Number(one.value));

const last = () => all("input:checked").at(-1).closest(".group");

const count = () => {
  if (!bar) return;
  const [some, few] = [groups(), heads()];
  const [merge, split] = ["merge", "split"].map((what) => bar.querySelector(`[data-do=${what}]`));
  bar.hidden = !some.length && !few.length;
  merge.hidden = some.length < 2 || few.length > 0;
  split.hidden = !few.length || some.length > 0;
  const both = some.length && few.length;
  const said = [some.length && plural(some.length, "group"), few.length && plural(few.length, "head")].filter(Boolean).join(" and ");
  bar.querySelector(".selected").textContent = `${said} selected${both ? ": clear one of the two" : some.length === 1 ? ": select another one, too" : ""}`;
  split.textContent = few.length === 1 ? "This is somebody else" : "They are somebody else";
};

cards.addEventListener("change", count);
bar?.addEventListener("click", ({ target }) => {
  const what = target.closest("button")?.dataset.do;
  if (what === "merge") send({ do: "merge", groups: groups() }, last());
  if (what === "split") send({ do: "split", heads: heads() }, last());
  if (what === "clear") {
    all("input:checked").forEach((one) => (one.checked = false));
    count();
  }
});
count(); // a browser that goes back to this page keeps what was selected
