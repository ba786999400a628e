// What web/write_vectors.py wrote.

import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Answer, Head } from "../src/recognizer/answers.ts";
import type { Box } from "../src/recognizer/boxes.ts";
import type { BundleFiles, Manifest } from "../src/recognizer/bundle.ts";
import type { Search } from "../src/recognizer/finding.ts";
import type { Pixels } from "../src/recognizer/pixels.ts";

const FOLDER = fileURLToPath(new URL("../vectors/", import.meta.url));

export interface StoredPicture {
  width: number;
  height: number;
  data: string; // RGB bytes, hexadecimal
}

export interface ResizingCase {
  kernel: "bicubic" | "box" | "bilinear" | "letterbox";
  picture: StoredPicture;
  expected: StoredPicture;
  scales: [number, number];
  pads: [number, number];
}

export interface BoxCase {
  width: number;
  height: number;
  windows: Box[];
  found_in: Box[];
  boxes: Box[];
  scores: number[];
  cut: boolean[];
  rank: number[];
  tiles: Box[];
  tile_side: number;
  merged: number[];
  nms: number[];
}

export interface HeadCase {
  picture: StoredPicture;
  box: Box | null;
  head: StoredPicture;
  monochrome: boolean;
  hashes: string[]; // of the head and of its mirror image
}

interface StoredSize {
  name: string; // of the picture's file
  width: number;
  height: number;
}

export interface AnswerCase extends Answer {
  name: string;
  embeddings: number[][];
}

export interface SearchCase extends StoredSize {
  search: Search;
  heads: Pick<Head, "box" | "confidence" | "whole_picture">[];
}

export interface Searches {
  settings: Manifest["detector"];
  cases: SearchCase[];
}

export function read<T>(name: string): T {
  return JSON.parse(readFileSync(`${FOLDER}${name}.json`, "utf-8")) as T;
}

export function pixels({ width, height, data }: StoredPicture): Pixels {
  return { width, height, data: Uint8Array.from(Buffer.from(data, "hex")) };
}

export function picture({ name, width, height }: StoredSize): Pixels {
  return { width, height, data: Uint8Array.from(readFileSync(`${FOLDER}${name}.rgb`)) };
}

/** The files of a site's bundle, as the page loads them. */
export function bundleFiles(name: string): BundleFiles {
  const folder = `${FOLDER}${name}/`;
  const manifest = JSON.parse(readFileSync(`${folder}bundle/manifest.json`, "utf-8")) as Manifest;
  const files = Object.keys(manifest.files).map((path) => [path, Uint8Array.from(readFileSync(folder + path))] as const);
  return { manifest, files: Object.fromEntries(files) };
}
