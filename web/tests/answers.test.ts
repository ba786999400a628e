import { fileURLToPath } from "node:url";
import { readFileSync } from "node:fs";
import { beforeAll, describe, expect, test } from "vitest";
import { openBundle } from "../src/recognizer/bundle.ts";
import { Recognizer } from "../src/recognizer/recognizer.ts";
import { prepareRuntime } from "../src/recognizer/session.ts";
import { sentence } from "../src/sentences.ts";
import { bundleFiles, picture, read, type AnswerCase } from "./vectors.ts";

const ORT = (name: string) => fileURLToPath(import.meta.resolve(`onnxruntime-web/${name}`));
const SLOW = 600_000; // ms: on machines that do much else

function expectNear(found: ArrayLike<number>, expected: ArrayLike<number>, tolerance: number): void {
  expect(found.length).toBe(expected.length);
  const most = Math.max(0, ...Array.from(expected, (value, place) => Math.abs(value - found[place]!)));
  expect(most).toBeLessThanOrEqual(tolerance);
}

const WAYS = ["trained", "enrolled", "own"] as const; // own: enrolled by the page into the bundle of trained characters

describe.each(WAYS)("with a bundle of %s characters", (name) => {
  let recognizer: Recognizer;
  const cases = read<AnswerCase[]>(`${name === "own" ? "enrolled" : name}_answers`);

  beforeAll(async () => {
    prepareRuntime(ORT("ort-wasm-simd-threaded.mjs"), readFileSync(ORT("ort-wasm-simd-threaded.wasm")), 1);
    recognizer = await Recognizer.open(await openBundle(bundleFiles(name === "own" ? "trained" : name)));
    if (name === "own") {
      const [found] = await recognizer.find(picture(cases.find((one) => one.name === "3_one_head")!));
      const { head, embedding } = await recognizer.measure(found!);
      recognizer.setOwn([{ character: "Somebody New", series: "", heads: [{ embedding, monochrome: head.monochrome }] }]);
    }
  }, SLOW);

  test.each(cases.map((one) => [one.name, one] as const))("%s gets the answer that Python gives", async (_, expected) => {
    const given = picture(expected);
    const found = await recognizer.find(given);
    const embeddings = await recognizer.embed(found.map((head) => head.picture));
    expect(embeddings.length).toBe(expected.embeddings.length);
    embeddings.forEach((one, place) => expectNear(one, expected.embeddings[place]!, 1e-3));

    const answer = await recognizer.recognize(given);
    expect(answer.heads.length).toBe(expected.heads.length);
    answer.heads.forEach((head, place) => {
      const wanted = expected.heads[place]!;
      expectNear(head.box, wanted.box, 0.5);
      for (const key of ["confidence", "p_value", "stranger_share", "nobody", "unlikeness"] as const) {
        expect(Math.abs(head[key] - wanted[key]), key).toBeLessThan(5e-3);
      }
      for (const key of ["whole_picture", "monochrome", "verdict"] as const) expect(head[key]).toBe(wanted[key]);
      expect(sentence(head)).toBe((wanted as { sentence?: string }).sentence);
      expect(head.candidates.map((one) => [one.character, one.series, one.original_name])).toEqual(
        wanted.candidates.map((one) => [one.character, one.series, one.original_name]),
      );
      expectNear(head.candidates.map((one) => one.probability), wanted.candidates.map((one) => one.probability), 5e-3);
      expect(head.nearest.map((one) => [one.character, one.series])).toEqual(
        wanted.nearest.map((one) => [one.character, one.series]),
      );
      expectNear(head.nearest.map((one) => one.similarity), wanted.nearest.map((one) => one.similarity), 1e-3);
      expect(head.series?.name).toBe(wanted.series?.name);
      expect(Object.keys(wanted).filter((key) => !(key in head))).toEqual(["sentence"]);
    });
  }, SLOW);
});
