// Where pictures come from (chosen, dropped, pasted, photographed, examples) and how their answers get onto the page.
const main = document.querySelector("main");
const find = (selector) => main.querySelector(selector);
const [answers, input, how, snapshot, live, video] = [".answers", "#pictures", "#how", ".snapshot", ".live", "video"].map(find);
const say = (text) => (find(".said").textContent = text);

// Asking: one request for each picture, one after the other; a new question replaces the one in progress.

let question = new AbortController();
let last = []; // the pictures that were asked about

const ask = async (files) => {
  if (!files.length) return;
  question.abort();
  last = files;
  const { signal } = (question = new AbortController());
  const asked = files.slice(0, Number(main.dataset.maxPictures));
  const skipped = files.length - asked.length;
  answers.replaceChildren();
  main.ariaBusy = "true";
  for (const [index, file] of asked.entries()) {
    say(asked.length > 1 ? `Processing picture ${index + 1} of ${asked.length} …` : "Processing the picture …");
    const card = await cardFor(file, signal);
    if (signal.aborted) return;
    answers.append(card);
    if (!index) show(answers); // on a phone the answers start below the visible part
  }
  main.ariaBusy = "false";
  say(skipped ? `${skipped} more ${skipped > 1 ? "were" : "was"} skipped: choose at most ${asked.length} at once.` : "");
};

const cardFor = async (file, signal) => {
  if (file.size > Number(main.dataset.maxBytes)) return failure(file.name, main.dataset.tooLarge);
  const query = [new URLSearchParams({ name: file.name }), how.value].filter(String).join("&");
  try {
    const response = await fetch(`${main.dataset.to}?${query}`, { method: "POST", body: file, signal });
    const text = await response.text();
    // the server's HTML has every name escaped, and the content security policy forbids inline scripts
    if (response.headers.get("content-type").startsWith("text/html")) return document.createRange().createContextualFragment(text);
    return failure(file.name, text);
  } catch {
    return failure(file.name, "The server can't be reached: check that it is running and try again.");
  }
};

const failure = (name, sentence) => {
  const card = document.querySelector("#failure").content.cloneNode(true);
  card.querySelector("bdi").textContent = name;
  card.querySelector(".note").textContent = sentence;
  return card;
};

const show = (element) => {
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  element.scrollIntoView({ behavior: calm ? "auto" : "smooth", block: "start" });
};

how.addEventListener("change", () => ask(last)); // the same pictures, searched in the other way

// Choosing and dropping

for (const one of [input, snapshot]) {
  one.addEventListener("change", () => {
    const files = [...one.files];
    one.value = ""; // so that the same file can be chosen again
    ask(files);
  });
}

document.addEventListener("dragover", (event) => {
  event.preventDefault(); // otherwise the browser opens the file instead of the page
  main.classList.add("dragging");
});
document.addEventListener("dragleave", (event) => event.relatedTarget ?? main.classList.remove("dragging"));
document.addEventListener("drop", (event) => {
  event.preventDefault();
  main.classList.remove("dragging");
  ask([...event.dataTransfer.files]);
});

// Pasting

document.addEventListener("paste", (event) => {
  const files = [...(event.clipboardData?.files ?? [])];
  if (!files.length) return;
  event.preventDefault();
  ask(files);
});

const paste = async () => {
  if (!navigator.clipboard?.read) return say("This browser only supports pasting with Ctrl+V (⌘V on a Mac).");
  try {
    const files = [];
    for (const item of await navigator.clipboard.read()) {
      const type = item.types.find((one) => one.startsWith("image/"));
      if (type) files.push(new File([await item.getType(type)], `pasted.${type.split("/")[1]}`, { type }));
    }
    say(files.length ? "" : "There is no picture on the clipboard.");
    ask(files);
  } catch {
    say("The browser doesn't allow access to the clipboard: press Ctrl+V (⌘V on a Mac).");
  }
};

// The camera

const camera = async () => {
  // without https the camera is closed to pages from other machines; phones then still offer their own camera
  if (!navigator.mediaDevices?.getUserMedia) return snapshot.click();
  try {
    video.srcObject = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment", width: { ideal: 1920 } } });
    live.hidden = false;
    say("");
  } catch {
    say("The camera can't be opened: there is none, it is in use, or the browser doesn't allow access.");
  }
};

const shoot = () => {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
  canvas.getContext("2d").drawImage(video, 0, 0);
  canvas.toBlob((blob) => ask([new File([blob], "photo.jpg", { type: "image/jpeg" })]), "image/jpeg", 0.92);
  stop();
};

const stop = () => {
  video.srcObject?.getTracks().forEach((track) => track.stop());
  video.srcObject = null;
  live.hidden = true;
};

// Examples

const example = async (button) => {
  try {
    const picture = await (await fetch(button.querySelector("img").src)).blob();
    ask([new File([picture], button.dataset.example, { type: picture.type })]);
  } catch {
    say("The example can't be loaded: check that the server is running.");
  }
};

main.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  ({ paste, camera, shoot, stop })[button?.dataset.act]?.();
  if (button?.dataset.example) example(button);
});
