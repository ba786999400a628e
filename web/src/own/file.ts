// The file in which own characters are saved; crystal_eyes/recognizer/enrollment_file.py reads and writes the same. It holds
// pictures of heads and no embeddings: whoever reads it makes them with his own encoder.

import { UserError } from "../recognizer/messages.ts";

const KIND = "crystal-eyes characters";
const FORMAT = 1;
const MAX_BYTES = 200_000_000;

export interface FiledCharacter {
  character: string;
  series: string; // "" where unknown
  heads: { name: string; picture: Uint8Array<ArrayBuffer> }[]; // encoded
}

export function write(characters: readonly FiledCharacter[]): string {
  const filed = characters.map(({ character, series, heads }) => ({
    character,
    series,
    heads: heads.map(({ name, picture }) => ({ name, picture: toBase64(picture) })),
  }));
  return `${JSON.stringify({ kind: KIND, format: FORMAT, characters: filed }, null, 1)}\n`;
}

/** Throws UserError. */
export async function read(file: File): Promise<FiledCharacter[]> {
  const { name } = file;
  if (file.size > MAX_BYTES) throw new UserError("error.file.large", { name, most: MAX_BYTES / 1e6 });
  let found: unknown;
  try {
    found = JSON.parse(await file.text());
  } catch {
    throw new UserError("error.file", { name });
  }
  if (!isRecord(found) || found["kind"] !== KIND) throw new UserError("error.file", { name });
  if (found["format"] !== FORMAT) {
    throw new UserError("error.file.format", { name, format: String(found["format"]), known: FORMAT });
  }
  try {
    return (found["characters"] as unknown[]).map(characterOf);
  } catch {
    throw new UserError("error.file", { name });
  }
}

function characterOf(value: unknown): FiledCharacter {
  if (!isRecord(value)) throw new TypeError("no character");
  const heads = (value["heads"] as Record<string, unknown>[]).map((head) => ({
    name: text(head["name"]),
    picture: Uint8Array.from(atob(text(head["picture"])), (letter) => letter.charCodeAt(0)),
  }));
  return { character: text(value["character"]), series: text(value["series"]), heads };
}

function text(value: unknown): string {
  if (typeof value !== "string") throw new TypeError("no text");
  return value;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

function toBase64(data: Uint8Array): string {
  const parts: string[] = [];
  for (let place = 0; place < data.length; place += 8192) parts.push(String.fromCharCode(...data.subarray(place, place + 8192)));
  return btoa(parts.join(""));
}
