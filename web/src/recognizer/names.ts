// The one way to write the name of a character or a series: crystal_eyes/names.py.

import { UserError } from "./messages.ts";

const MAX_LENGTH = 200; // characters of a name
const SPACE = /[\s\x1c-\x1f\x85]/u;
const BLANK = /[\u115f\u1160\u2800\u3164\uffa0]/gu; // letters and symbols that show nothing
const JOINER = /[\u200c\u200d]/u; // zero-width characters that spell words and emoji of some scripts
const INVISIBLE = /[\p{Cc}\p{Cf}\p{Cs}]/u;
const UNUSUAL_WIDTH = /[\uff10-\uff19\uff21-\uff3a\uff41-\uff5a\uff66-\uff9f]/gu;

/** Throws UserError: empty, or too long. */
export function normalizeName(text: string): string {
  const name = normalizeText(text);
  if (!name) throw new UserError("error.name.empty");
  return name;
}

/** Like normalizeName, for a text that may be empty. */
export function normalizeText(text: string): string {
  const letters = [...text.replaceAll("\ufeff", "").replace(BLANK, " ")];
  const visible = letters.filter((one) => SPACE.test(one) || JOINER.test(one) || !INVISIBLE.test(one)).join("");
  const usual = visible.replace(UNUSUAL_WIDTH, (letter) => letter.normalize("NFKC"));
  const words = withoutLooseJoiners(usual.normalize("NFC")).split(/[\s\x1c-\x1f\x85]+/u);
  const name = words.filter(Boolean).join(" ").normalize("NFC");
  const count = [...name].length;
  if (count > MAX_LENGTH) throw new UserError("error.name.long", { count, most: MAX_LENGTH });
  return name;
}

/** Without the joiners that join nothing: all but those between letters of a script without case, or between emoji. */
function withoutLooseJoiners(text: string): string {
  const letters = [...text];
  let base = ""; // the last character that is neither a mark nor a modifier
  return letters
    .filter((letter, place) => {
      if (JOINER.test(letter)) {
        const following = letters[place + 1] ?? " ";
        return /[\p{Lo}\p{So}]/u.test(base) && !SPACE.test(following) && !JOINER.test(following);
      }
      if (!/[\p{M}\p{Sk}]/u.test(letter)) base = letter;
      return true;
    })
    .join("");
}
