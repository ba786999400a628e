// Recognition beside the page, so that the page stays responsive.

import { openBundle, RUNTIME, type BundleFiles } from "./recognizer/bundle.ts";
import { decode, type Source } from "./recognizer/decoding.ts";
import { UserError } from "./recognizer/messages.ts";
import { unzip } from "./recognizer/packing.ts";
import { Recognizer } from "./recognizer/recognizer.ts";
import { prepareRuntime } from "./recognizer/session.ts";
import type { Answer } from "./recognizer/answers.ts";

export type Request =
  | { id: number; kind: "open"; loaded: BundleFiles; glue: string; threads: number }
  | { id: number; kind: "recognize"; picture: Source };

export type Response = { id: number; value: Answer | null } | { id: number; error: string };

let recognizer: Recognizer | null = null;

async function answer(request: Request): Promise<Answer | null> {
  if (request.kind === "open") {
    const { loaded, glue, threads } = request;
    prepareRuntime(glue, await unzip(loaded.files[RUNTIME]!, RUNTIME), threads);
    delete loaded.files[RUNTIME];
    recognizer = await Recognizer.open(await openBundle(loaded));
    return null;
  }
  return recognizer!.recognize(await decode(request.picture));
}

let last: Promise<void> = Promise.resolve(); // one at a time, in order

self.onmessage = ({ data }: MessageEvent<Request>) => {
  last = last.then(async () => {
    let response: Response;
    try {
      response = { id: data.id, value: await answer(data) };
    } catch (error) {
      if (!(error instanceof UserError)) console.error(error);
      response = { id: data.id, error: sentence(error) };
    }
    self.postMessage(response);
  });
};

function sentence(error: unknown): string {
  if (error instanceof UserError) return error.message;
  if (error instanceof RangeError) return "This device has too little memory for that.";
  return `Something went wrong in this page: ${error instanceof Error ? error.message : String(error)}`;
}
