import type words from "../words/en.json";

export type WordKey = keyof typeof words; // of words/LANGUAGE.json
export type Values = Record<string, string | number>; // what its {names} stand for

/** An error that the visitor can understand. */
export class UserError extends Error {
  constructor(
    readonly key: WordKey,
    readonly values: Values = {},
  ) {
    super(`${key} ${JSON.stringify(values)}`); // for developers; the page says it in the visitor's language
  }
}
