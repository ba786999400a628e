// The visitor's own characters in this browser's storage (IndexedDB).

import { openDB, type IDBPDatabase } from "idb";
import { UserError } from "../recognizer/messages.ts";
import type { OwnHead } from "../recognizer/ownHeads.ts";

export interface Kept {
  id: string;
  character: string;
  series: string; // "" where unknown
  encoder: string; // digest of the one that made the embeddings
  heads: (OwnHead & { name: string })[]; // name: of the picture
}

const CHARACTERS = "characters";

export function idOf(character: string, series: string): string {
  return JSON.stringify([character, series]);
}

export class Store {
  private constructor(private readonly database: IDBPDatabase) {}

  /** site: address of the site's folder; several sites may share a server's storage. Throws UserError: storage is forbidden. */
  static async open(site: string): Promise<Store> {
    try {
      const database = await openDB(`crystal-eyes ${new URL(".", site).pathname}`, 1, {
        upgrade: (created) => void created.createObjectStore(CHARACTERS, { keyPath: "id" }),
      });
      return new Store(database);
    } catch {
      throw new UserError("error.storage.none");
    }
  }

  all(): Promise<Kept[]> {
    return this.database.getAll(CHARACTERS) as Promise<Kept[]>;
  }

  /** Throws UserError, without any change: full. */
  async put(character: Kept): Promise<void> {
    try {
      const change = this.database.transaction(CHARACTERS, "readwrite", { durability: "strict" });
      await Promise.all([change.store.put(character), change.done]);
    } catch (error) {
      if (error instanceof DOMException && error.name === "QuotaExceededError") throw new UserError("error.storage.full");
      throw error;
    }
    void navigator.storage?.persist?.(); // else browsers remove it when they need the space
  }

  remove(id: string): Promise<void> {
    return this.database.delete(CHARACTERS, id);
  }
}
