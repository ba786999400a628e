import { describe, expect, test } from "vitest";
import { identify } from "../src/own/enrolling.ts";
import { read as readFile, write } from "../src/own/file.ts";
import { hashesOfSides, isDuplicate } from "../src/recognizer/imageStats.ts";
import { UserError } from "../src/recognizer/messages.ts";
import { normalizeName, normalizeText } from "../src/recognizer/names.ts";
import { pixels, read, type HeadCase } from "./vectors.ts";

const hex = (data: Uint8Array) => Buffer.from(data).toString("hex");

function errorOf(work: () => unknown): unknown {
  try {
    return work();
  } catch (error) {
    return error instanceof UserError ? error.key : error;
  }
}

test("hashes are those of Python, and tell a mirrored picture from another", () => {
  const all = read<HeadCase[]>("heads").map((one) => ({ ...one, found: hashesOfSides(pixels(one.head)) }));
  for (const { found, hashes } of all) expect(found.map(hex)).toEqual(hashes);
  const [first, second] = all.slice(-2);
  expect(isDuplicate(first!.found, first!.found[1]!, 0)).toBe(true);
  expect(isDuplicate(first!.found, second!.found[0]!, 12)).toBe(false);
});

test.each(read<{ given: string; normalized: string | null }[]>("names"))("the name $given is written as in Python", (one) => {
  if (one.normalized === null) expect(errorOf(() => normalizeText(one.given))).toBe("error.name.long");
  else expect(normalizeText(one.given)).toBe(one.normalized);
  if (one.normalized === "") expect(errorOf(() => normalizeName(one.given))).toBe("error.name.empty");
});

describe("a name and a series mean", () => {
  const catalogue = [["Rei", "A", ""], ["Aya", "A", ""], ["Aya", "B", ""]] as const;
  const kept = [{ character: "Nova", series: "S" }];
  test.each([
    ["Nova", "", { character: "Nova", series: "S" }],
    ["Nova", "S", { character: "Nova", series: "S" }],
    ["Nova", "T", { character: "Nova", series: "T" }],
    ["Rei", "B", { character: "Rei", series: "B" }],
    ["New", "", { character: "New", series: "" }],
    ["Rei", "", "error.name.trained"],
    ["Rei (A)", "", "error.name.trained"],
    ["Aya", "B", "error.name.trained"],
    ["Aya", "", "error.name.ambiguous"],
  ])("%s of %s", (name, series, expected) => {
    expect(errorOf(() => identify(catalogue, kept, name, series))).toEqual(expected);
  });
});

describe("a file of characters", () => {
  const file = (text: string) => new File([text], "mine.json");

  test("is read as it was written", async () => {
    const picture = Uint8Array.from({ length: 20_000 }, (_, place) => place % 256);
    const characters = [{ character: "綾波", series: "", heads: [{ name: "a.png", picture }] }];
    expect(await readFile(file(write(characters)))).toEqual(characters);
  });

  test.each([
    ["no JSON", "error.file"],
    ["[]", "error.file"],
    ["null", "error.file"],
    ['{"kind": "crystal-eyes characters", "format": 9}', "error.file.format"],
    ['{"kind": "crystal-eyes characters", "format": 1}', "error.file"],
    ['{"kind": "crystal-eyes characters", "format": 1, "characters": [{"character": "A"}]}', "error.file"],
    ['{"kind": "crystal-eyes characters", "format": 1, "characters": [{"character": "A", "series": "", "heads": [{"name": "a", "picture": "?"}]}]}', "error.file"],
  ])("that is %s is refused", async (text, key) => {
    await expect(readFile(file(text))).rejects.toMatchObject({ key });
  });
});
