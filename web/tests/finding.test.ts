import { fileURLToPath } from "node:url";
import { readFileSync } from "node:fs";
import { beforeAll, describe, expect, test } from "vitest";
import { openBundle } from "../src/recognizer/bundle.ts";
import { Detector } from "../src/recognizer/detector.ts";
import { findHeads } from "../src/recognizer/finding.ts";
import { openSession, prepareRuntime } from "../src/recognizer/session.ts";
import { bundleFiles, picture, read, type Searches } from "./vectors.ts";

const ORT = (name: string) => fileURLToPath(import.meta.resolve(`onnxruntime-web/${name}`));
const SLOW = 600_000; // ms: on machines that do much else

describe.each(["calibrated", "uncalibrated"])("with a detector that is %s", (name) => {
  let detector: Detector;
  const { settings, cases } = read<Searches>(name);

  beforeAll(async () => {
    prepareRuntime(ORT("ort-wasm-simd-threaded.mjs"), readFileSync(ORT("ort-wasm-simd-threaded.wasm")), 1);
    detector = new Detector(await openSession((await openBundle(bundleFiles("trained"))).models.detector), settings);
  }, SLOW);

  test.each(cases.map((one) => [one.name, one.search, one] as const))(
    "%s, searched with %o, shows the heads that Python finds",
    async (_, search, expected) => {
      const found = await findHeads(detector, picture(expected), search);
      expect(found.map((one) => one.wholePicture)).toEqual(expected.heads.map((one) => one.whole_picture));
      found.forEach((one, place) => {
        const wanted = expected.heads[place]!;
        expect(Math.abs(one.confidence - wanted.confidence)).toBeLessThan(1e-3);
        one.box.forEach((side, which) => expect(Math.abs(side - wanted.box[which]!)).toBeLessThan(0.5));
      });
    },
    SLOW,
  );

  test("a faint head that fills a small picture is among the cases, and one that is too faint", () => {
    const heads = (name: string) => cases.find((one) => one.name === name && !Object.keys(one.search).length)!.heads;
    expect(heads("faint").map((one) => one.whole_picture)).toEqual([true]);
    expect(heads("faint")[0]!.confidence).toBeLessThan(settings.confidence);
    expect(heads("too_faint")).toEqual([]);
  });
});
