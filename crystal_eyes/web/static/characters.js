// Filters the list of characters: shown are those whose name or series contains all words, in either script.
const search = document.querySelector("#search");
const said = document.querySelector(".said");
const folded = (text) => text.normalize("NFKC").toLowerCase();

const series = [...document.querySelectorAll("section")].map((section) => {
  const title = folded(section.querySelector("h2").textContent);
  const names = (item) => [...item.querySelectorAll("bdi")].map((one) => folded(one.textContent)).join(" ");
  return { section, items: [...section.querySelectorAll("li")].map((item) => ({ item, text: `${names(item)} ${title}` })) };
});

const filter = () => {
  const words = folded(search.value).split(/\s+/).filter(Boolean);
  let shown = 0;
  for (const { section, items } of series) {
    let some = 0;
    for (const { item, text } of items) {
      item.hidden = !words.every((word) => text.includes(word));
      some += !item.hidden;
    }
    section.hidden = !some;
    shown += some;
  }
  said.textContent = !words.length ? "" : shown === 1 ? "1 character" : `${shown || "No"} characters`;
};

search.closest(".search").hidden = false; // without this script there is nothing to search with
search.addEventListener("input", filter);
filter(); // a browser that goes back to this page keeps what was typed
