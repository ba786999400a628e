/** An error that the visitor can understand; its message is a sentence. */
export class UserError extends Error {}
