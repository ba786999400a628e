// What the page calls: loads the site's files and runs a recognizer in a worker.

import { fetchBundle, GLUE, type BundleFiles, type OnProgress } from "./recognizer/bundle.ts";
import { UserError } from "./recognizer/messages.ts";
import type { OwnCharacter } from "./recognizer/naming.ts";
import type { Answer } from "./recognizer/answers.ts";
import type { Source } from "./recognizer/decoding.ts";
import type { Search } from "./recognizer/finding.ts";
import type { Request, Response, Results } from "./worker.ts";
import workerUrl from "./worker.ts?worker&url";

const MEASURE = "recognize"; // in the browser's developer tools, and in benchmarks/web/run.py
const MAX_THREADS = 4; // more gain nothing with networks this small

type Unnumbered<T> = T extends unknown ? Omit<T, "id"> : never;
interface Waiting {
  resolve(value: never): void;
  reject(error: Error): void;
}

export interface Recognizer {
  readonly threads: number;
  readonly encoder: string; // digest: embeddings of one encoder can't be compared with those of another
  readonly characters: readonly [string, string, string][]; // of the bundle: character, series, original name
  /** The heads in a picture, most confident first. Rejects with UserError. */
  recognize(picture: Source, search?: Search): Promise<Answer>;
  /** What is kept of a picture to enroll a character from it. isCrop: the whole picture is the head. Rejects with UserError. */
  measure(picture: Blob, isCrop: boolean): Promise<Results["measure"]>;
  /** Name these characters too, in place of those given before. */
  setOwn(own: OwnCharacter[]): Promise<void>;
}

/**
 * Load a site's bundle and start recognizing. url: of the site's folder; onProgress: loaded and all bytes.
 * Afterwards this page can't send a request anymore. Rejects with UserError.
 */
export async function loadBundle(url: string, onProgress?: OnProgress): Promise<Recognizer> {
  const loaded = await fetchBundle(url, onProgress);
  forbidRequests();
  const worker = new RecognizerWorker();
  const threads = self.crossOriginIsolated ? Math.min(navigator.hardwareConcurrency || 1, MAX_THREADS) : 1;
  await worker.open(loaded, new URL(GLUE, url).href, threads);
  return worker;
}

/** From here on the browser refuses every request of this page and of workers that it starts. */
function forbidRequests(): void {
  const policy = document.createElement("meta");
  policy.httpEquiv = "Content-Security-Policy";
  policy.content = "connect-src 'none'";
  document.head.append(policy);
}

class RecognizerWorker implements Recognizer {
  threads = 1;
  encoder = "";
  characters: Results["open"] = [];
  private readonly worker: Worker;
  private readonly waiting = new Map<number, Waiting>();
  private count = 0;

  constructor() {
    // through a blob, because only then is the worker under the page's Content-Security-Policy
    const script = new Blob([`import ${JSON.stringify(new URL(workerUrl, document.baseURI).href)};`], { type: "text/javascript" });
    const address = URL.createObjectURL(script);
    this.worker = new Worker(address, { type: "module" });
    this.worker.onmessage = ({ data }: MessageEvent<Response>) => {
      const waiting = this.waiting.get(data.id);
      this.waiting.delete(data.id);
      if ("error" in data) waiting?.reject(new UserError(data.error, data.values));
      else waiting?.resolve(data.value as never);
    };
    this.worker.onerror = (event) => {
      const error = new UserError("error.start", { why: event.message || "worker" });
      for (const waiting of this.waiting.values()) waiting.reject(error);
      this.waiting.clear();
    };
  }

  async open(loaded: BundleFiles, glue: string, threads: number): Promise<void> {
    this.threads = threads;
    const buffers = Object.values(loaded.files).map((file) => file.buffer as ArrayBuffer);
    this.encoder = loaded.manifest.encoder_digest;
    this.characters = await this.ask<"open">({ kind: "open", loaded, glue, threads }, buffers);
  }

  async recognize(picture: Source, search: Search = {}): Promise<Answer> {
    const start = performance.now();
    const answer = await this.ask<"recognize">({ kind: "recognize", picture, search });
    performance.clearMeasures(MEASURE);
    performance.measure(MEASURE, { start });
    return answer;
  }

  measure(picture: Blob, isCrop: boolean): Promise<Results["measure"]> {
    return this.ask<"measure">({ kind: "measure", picture, isCrop });
  }

  async setOwn(own: OwnCharacter[]): Promise<void> {
    await this.ask<"setOwn">({ kind: "setOwn", own });
  }

  private ask<Kind extends keyof Results>(request: Unnumbered<Request>, moved: Transferable[] = []): Promise<Results[Kind]> {
    const id = this.count++;
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject });
      this.worker.postMessage({ ...request, id }, moved);
    });
  }
}
