// Adds a character from a few heads, without training: crystal_eyes/recognizer/enrollment.py.
//
// Unlike there, heads are not compared with the pictures of the bundle's reference heads, which the page does not load: that a
// picture shows somebody known is only said of heads that look alike, and of pictures that were added here.

import type { Recognizer } from "../client.ts";
import { fullName, who, type Head } from "../recognizer/answers.ts";
import { isDuplicate } from "../recognizer/imageStats.ts";
import { UserError, type Values, type WordKey } from "../recognizer/messages.ts";
import { normalizeName, normalizeText } from "../recognizer/names.ts";
import type { MeasuredHead } from "../recognizer/ownHeads.ts";
import { idOf, type Kept, type Store } from "./store.ts";

const MAX_HEADS = 50; // of a character
const LOOK_ALIKE = 0.5; // probability, among all characters, from which a head looks like another one
const DUPLICATE_BITS = 6; // of 256, by which the hashes of one picture may differ
const SAME_BITS = 12; // and those of a picture and of what is kept of it, which is compressed
const SIMILAR = 0.9; // cosine: only heads this similar are compared

export interface Given {
  name: string;
  picture: Blob;
  isCrop: boolean; // the whole picture is the head
}

/** Why a picture was left out: words, or the error of reading it. */
export type Why = { key: WordKey; values: Values };

export interface Enrolled {
  character: string; // normalized
  series: string;
  heads: number; // that were added
  headsBefore: number;
  leftOut: { name: string; why: Why }[];
  lookAlikes: { name: string; head: Head }[]; // named as a character known before
}

type Identity = Pick<Kept, "character" | "series">;

/** Add a character, or heads to one that was added before. series: "" means any. Throws UserError, without any change. */
export async function enroll(
  recognizer: Recognizer,
  store: Store,
  given: { character: string; series: string; pictures: readonly Given[] },
  onPicture: (name: string) => void = () => {},
): Promise<Enrolled> {
  const kept = await store.all();
  const own = identify(recognizer.characters, kept, normalizeName(given.character), normalizeText(given.series));
  const before = kept.find((one) => one.id === idOf(own.character, own.series));
  const headsBefore = before?.heads.length ?? 0;
  const { pictures } = given;
  if (!pictures.length) throw new UserError("error.no.pictures");
  if (pictures.length + headsBefore > MAX_HEADS) {
    throw new UserError("error.many.heads", { who: who(own), count: pictures.length + headsBefore, most: MAX_HEADS });
  }
  const result: Enrolled = { ...own, heads: 0, headsBefore, leftOut: [], lookAlikes: [] };
  const usable: { name: string; head: MeasuredHead }[] = [];
  for (const { name, picture, isCrop } of pictures) {
    onPicture(name);
    const found = await usableHead(recognizer, { name, picture, isCrop }, usable, kept, own);
    if ("why" in found) result.leftOut.push({ name, why: found.why });
    else {
      usable.push({ name, head: found.head });
      if (looksLikeAnother(found.head.named, own)) result.lookAlikes.push({ name, head: found.head.named });
    }
  }
  if (!usable.length) throw noHead(own, result);
  result.heads = usable.length;
  const added = usable.map(({ name, head: { picture, embedding, monochrome, hash } }) => ({ name, picture, embedding, monochrome, hash }));
  await store.put({
    id: idOf(own.character, own.series),
    ...own,
    encoder: recognizer.encoder,
    heads: [...(before?.heads ?? []), ...added],
  });
  return result;
}

/** The own character that a name and a series mean, or a new one. Throws UserError. */
export function identify(
  catalogue: readonly (readonly [string, string, ...string[]])[],
  kept: readonly Identity[],
  name: string,
  series: string,
): Identity {
  const trained = catalogue.map(([character, its]) => ({ character, series: its, own: false }));
  const known = [...trained, ...kept.map(({ character, series: its }) => ({ character, series: its, own: true }))];
  const exact = known.filter((one) => series && who(one) === fullName(name, series));
  const found = exact.length || series ? exact : known.filter((one) => one.character === name || who(one) === name);
  if (found.length > 1) {
    throw new UserError("error.name.ambiguous", { name, series: found.map((one) => one.series || "–").join(", ") });
  }
  const [one] = found;
  if (!one) return { character: name, series };
  if (!one.own) throw new UserError("error.name.trained", { who: who(one) });
  return { character: one.character, series: one.series };
}

async function usableHead(
  recognizer: Recognizer,
  given: Given,
  others: readonly { name: string; head: MeasuredHead }[],
  kept: readonly Kept[],
  own: Identity,
): Promise<{ head: MeasuredHead } | { why: Why }> {
  let found: Awaited<ReturnType<Recognizer["measure"]>>;
  try {
    found = await recognizer.measure(given.picture, given.isCrop);
  } catch (error) {
    if (error instanceof UserError) return { why: error };
    throw error;
  }
  const { count, head } = found;
  if (!head) return { why: count ? { key: "left.many", values: { count } } : { key: "left.none", values: {} } };
  const twin = others.find((one) => isDuplicate(head.sides, one.head.sides[0]!, DUPLICATE_BITS));
  if (twin) return { why: { key: "left.duplicate", values: { name: twin.name } } };
  const owner = ownerOfSamePicture(head, kept);
  if (!owner) return { head };
  const isOwn = owner.character === own.character && owner.series === own.series;
  return { why: isOwn ? { key: "left.own", values: {} } : { key: "left.other", values: { who: who(owner) } } };
}

function ownerOfSamePicture(head: MeasuredHead, kept: readonly Kept[]): Identity | undefined {
  const isSame = (one: Kept["heads"][number]) =>
    cosine(head.embedding, one.embedding) >= SIMILAR && isDuplicate(head.smallSides, one.hash, SAME_BITS);
  return kept.find((character) => character.heads.some(isSame));
}

function looksLikeAnother(head: Head, own: Identity): boolean {
  const best = head.candidates[0]!;
  const likely = head.verdict === "unsure" && best.probability >= LOOK_ALIKE * (1 - head.nobody);
  return who(best) !== who(own) && (likely || head.verdict === "known");
}

function noHead(own: Identity, { leftOut }: Enrolled): UserError {
  if (leftOut.every(({ why }) => why.key === "left.own")) return new UserError("error.no.new.head", { who: who(own) });
  const reasons = leftOut.map(({ why }) => why);
  return new NoHeadError(own, reasons);
}

/** With the reasons, which the page says in the visitor's language. */
export class NoHeadError extends UserError {
  constructor(
    own: Identity,
    readonly reasons: readonly Why[],
  ) {
    super("error.no.head", { who: who(own) });
  }
}

function cosine(first: Float32Array, second: Float32Array): number {
  return first.reduce((sum, value, place) => sum + value * second[place]!, 0);
}

/** The own characters with embeddings of the page's encoder: those of another one are made again from the pictures. */
export async function renewed(recognizer: Recognizer, store: Store): Promise<Kept[]> {
  const all = await store.all();
  for (const one of all) {
    if (one.encoder === recognizer.encoder) continue;
    for (const kept of one.heads) {
      const { head } = await recognizer.measure(new Blob([kept.picture]), true);
      kept.embedding = head!.embedding;
    }
    one.encoder = recognizer.encoder;
    await store.put(one);
  }
  return all;
}
