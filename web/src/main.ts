import { loadBundle, type Recognizer } from "./client.ts";
import { showAnswer, showFailure } from "./show.ts";

const one = <T extends HTMLElement>(id: string) => document.getElementById(id) as T;
const [progress, loading, status, input, answers] = [
  one<HTMLProgressElement>("progress"), one("loading"), one("status"), one<HTMLInputElement>("pictures"), one("answers"),
];

async function start(): Promise<void> {
  let recognizer: Recognizer;
  try {
    recognizer = await loadBundle(document.baseURI, (loaded, total) => {
      progress.value = total ? loaded / total : 0;
    });
  } catch (error) {
    status.textContent = (error as Error).message;
    return;
  } finally {
    loading.hidden = true;
  }
  status.textContent = "Ready.";
  input.disabled = false;
  const answer = async (files: Iterable<File>) => {
    for (const file of files) await recognize(recognizer, file);
  };
  input.addEventListener("change", () => {
    void answer([...(input.files ?? [])]).then(() => (input.value = ""));
  });
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    void answer(event.dataTransfer?.files ?? []);
  });
  document.addEventListener("paste", (event) => void answer(event.clipboardData?.files ?? []));
}

async function recognize(recognizer: Recognizer, file: File): Promise<void> {
  status.textContent = `Recognizing ${file.name}…`;
  try {
    const answer = await recognizer.recognize(file);
    answers.prepend(showAnswer(file, answer));
    status.textContent = "Ready.";
  } catch (error) {
    answers.prepend(showFailure(file.name, (error as Error).message));
    status.textContent = "Ready.";
  }
}

void start();
