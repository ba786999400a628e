// The files of a site's bundle, as crystal_eyes/web/site.py writes them: fetched by the page, opened by the worker.

import type { StoredCalibration } from "./calibration.ts";
import type { StoredEnrolledUnlikeness } from "./enrolled.ts";
import type { Line } from "./enrolledLogits.ts";
import { Matrix } from "./matrix.ts";
import { UserError } from "./messages.ts";
import { expand, unzip } from "./packing.ts";
import type { Platt } from "./platt.ts";
import type { StoredUnlikeness } from "./unlikeness.ts";

export const FORMAT = 4;
export const GLUE = "runtime/ort.js";
export const RUNTIME = "runtime/ort.wasm.bin";
const MANIFEST = "bundle/manifest.json";
const PARTS = ["detector", "encoder", "classifier", "means", "gallery", "expected", "line", "enrolled", "known"] as const;
type PartName = (typeof PARTS)[number];

export interface Manifest {
  format: number;
  encoder_digest: string; // embeddings of one encoder can't be compared with those of another
  // confidence: minimum of a head; calibration: null where confidences are the network's own numbers
  detector: { image_size: number; confidence: number; calibration: Platt | null };
  encoder: { image_size: number; embedding_size: number };
  files: Record<string, number>; // by path below the site: its bytes
}

/** What naming needs beside numbers of embeddings. */
export interface Known {
  characters: [string, string, string][]; // character, series, original name; the trained ones first, by label
  trained: number;
  only_line: boolean[]; // by enrolled character: all of its heads are line art or gray
  labels: number[]; // by reference head: its character
  thumbnails: number[]; // by reference head: bytes of its picture; empty without pictures
  calibration: {
    colour: StoredCalibration;
    line: StoredCalibration;
    unlikeness: StoredUnlikeness;
    enrolled_logits: Line; // by cosine
    enrolled_points?: Line; // by where the character's point is expected
    enrolled_unlikeness?: StoredEnrolledUnlikeness;
    one_length?: boolean; // see ExpectedPoints
    line_bias_changes?: number[]; // by trained character, with the matrix of LineNoise
  };
}

/** As they were loaded: everything that can be moved to a worker. */
export interface BundleFiles {
  manifest: Manifest;
  files: Record<string, Uint8Array>; // by path below the site
}

export interface Bundle {
  manifest: Manifest;
  models: Record<"detector" | "encoder" | "classifier", Uint8Array>;
  means: Matrix;
  gallery: Matrix;
  expected: Matrix; // see ExpectedPoints; no rows where the bundle has none
  line: Matrix; // see LineNoise
  enrolled: Matrix; // by enrolled character: its weights, then its bias, then that in line art or gray
  known: Known;
}

export type OnProgress = (loaded: number, total: number) => void; // bytes

/** Load the files of a site. url: of the site's folder. Throws UserError. */
export async function fetchBundle(url: string, onProgress: OnProgress = () => {}): Promise<BundleFiles> {
  const response = await get(new URL(MANIFEST, url));
  let manifest: Manifest;
  try {
    manifest = (await response.json()) as Manifest;
  } catch {
    throw new UserError("error.manifest");
  }
  requireFormat(manifest);
  const wanted = [RUNTIME, ...PARTS.map(path)];
  const total = wanted.reduce((sum, name) => sum + (manifest.files[name] ?? 0), 0);
  let loaded = 0;
  onProgress(0, total);
  const files: Record<string, Uint8Array> = {};
  const load = async (name: string) => {
    files[name] = await readAll(await get(new URL(name, url)), manifest.files[name] ?? 0, name, (bytes) => {
      loaded += bytes;
      onProgress(Math.min(loaded, total), total);
    });
  };
  await Promise.all(wanted.map(load));
  return { manifest, files };
}

export function requireFormat(manifest: Manifest): void {
  if (manifest.format !== FORMAT) {
    const key = manifest.format > FORMAT ? "error.format.new" : "error.format.old";
    throw new UserError(key, { format: String(manifest.format), known: FORMAT });
  }
}

/** Unpack what was loaded. Throws UserError: damaged. */
export async function openBundle({ manifest, files }: BundleFiles): Promise<Bundle> {
  const unpacked = async (part: PartName) => {
    const data = await unzip(files[path(part)]!, path(part));
    delete files[path(part)]; // the memory of what is not needed anymore
    return data;
  };
  const model = async (part: PartName) => expand(await unpacked(part));
  return {
    manifest,
    models: { detector: await model("detector"), encoder: await model("encoder"), classifier: await model("classifier") },
    means: Matrix.readNpy(await unpacked("means"), "means"),
    gallery: Matrix.readNpy(await unpacked("gallery"), "gallery"),
    expected: Matrix.readNpy(await unpacked("expected"), "expected"),
    line: Matrix.readNpy(await unpacked("line"), "line"),
    enrolled: Matrix.readNpy(await unpacked("enrolled"), "enrolled"),
    known: JSON.parse(new TextDecoder().decode(await unpacked("known"))) as Known,
  };
}

function path(part: PartName): string {
  return `bundle/${part}.bin`;
}

async function get(url: URL): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(url);
  } catch {
    throw new UserError("error.connection", { name: url.pathname });
  }
  if (!response.ok) throw new UserError("error.missing", { name: url.pathname, status: String(response.status) });
  return response;
}

async function readAll(response: Response, size: number, name: string, onBytes: (bytes: number) => void): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let length = 0;
  const reader = response.body!.getReader();
  try {
    for (let next = await reader.read(); !next.done; next = await reader.read()) {
      parts.push(next.value);
      length += next.value.length;
      onBytes(next.value.length);
    }
  } catch {
    throw new UserError("error.connection.lost", { name });
  }
  if (size && length !== size) throw new UserError("error.size", { name, found: length, expected: size });
  const data = new Uint8Array(length);
  let place = 0;
  for (const one of parts) {
    data.set(one, place);
    place += one.length;
  }
  return data;
}
