// Recognition beside the page, so that the page stays responsive.

import { openBundle, RUNTIME, type BundleFiles } from "./recognizer/bundle.ts";
import { decode, type Source } from "./recognizer/decoding.ts";
import type { Search } from "./recognizer/finding.ts";
import { UserError, type Values, type WordKey } from "./recognizer/messages.ts";
import type { OwnCharacter } from "./recognizer/naming.ts";
import { measureHead, type MeasuredHead } from "./recognizer/ownHeads.ts";
import { unzip } from "./recognizer/packing.ts";
import { Recognizer } from "./recognizer/recognizer.ts";
import { prepareRuntime } from "./recognizer/session.ts";
import type { Answer } from "./recognizer/answers.ts";

export type Request =
  | { id: number; kind: "open"; loaded: BundleFiles; glue: string; threads: number }
  | { id: number; kind: "recognize"; picture: Source; search: Search }
  | { id: number; kind: "measure"; picture: Blob; isCrop: boolean }
  | { id: number; kind: "setOwn"; own: OwnCharacter[] };

export interface Results {
  open: [string, string, string][]; // the bundle's characters
  recognize: Answer;
  measure: { count: number; head: MeasuredHead | null };
  setOwn: null;
}

export type Response = { id: number; value: Results[keyof Results] } | { id: number; error: WordKey; values: Values };

let recognizer: Recognizer | null = null;

async function answer(request: Request): Promise<Results[keyof Results]> {
  if (request.kind === "open") {
    const { loaded, glue, threads } = request;
    prepareRuntime(glue, await unzip(loaded.files[RUNTIME]!, RUNTIME), threads);
    delete loaded.files[RUNTIME];
    const bundle = await openBundle(loaded);
    recognizer = await Recognizer.open(bundle);
    return bundle.known.characters;
  }
  if (request.kind === "setOwn") {
    recognizer!.setOwn(request.own);
    return null;
  }
  if (request.kind === "measure") return measureHead(recognizer!, request.picture, request.isCrop);
  return recognizer!.recognize(await decode(request.picture), request.search);
}

let last: Promise<void> = Promise.resolve(); // one at a time, in order

self.onmessage = ({ data }: MessageEvent<Request>) => {
  last = last.then(async () => {
    let response: Response;
    try {
      response = { id: data.id, value: await answer(data) };
    } catch (error) {
      if (!(error instanceof UserError)) console.error(error);
      const { key, values } = understandable(error);
      response = { id: data.id, error: key, values };
    }
    self.postMessage(response);
  });
};

function understandable(error: unknown): UserError {
  if (error instanceof UserError) return error;
  if (error instanceof RangeError) return new UserError("error.memory");
  return new UserError("error.other", { why: error instanceof Error ? error.message : String(error) });
}
