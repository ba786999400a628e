// Keeps the files of the site, so that it works offline. Built to sw.js; crystal_eyes/web/site.py writes files.js beside it.
//
// A version is the digest of all files: files.js differs, so the browser installs this worker anew and a complete new cache
// replaces the old one. Cached files are found by their own digest, so an update loads only what has changed.

declare const self: ServiceWorkerGlobalScope & { VERSION: string; FILES: Record<string, string> };

importScripts("files.js"); // VERSION; FILES: SHA-256 (hexadecimal) by path below the site

const PAGE = "index.html";
const scope = self.registration.scope;
const prefix = `crystal-eyes ${scope} `; // several sites may share a server's storage
const cacheName = prefix + self.VERSION;
const writing = new Set<Promise<void>>();

self.addEventListener("install", (event) => event.waitUntil(install()));
self.addEventListener("activate", (event) => event.waitUntil(activate()));

self.addEventListener("message", (event) => {
  if (event.data === "activate") event.waitUntil(self.skipWaiting());
  if (event.data === "complete") event.waitUntil(isComplete().then((answer) => event.ports[0]?.postMessage(answer)));
});

self.addEventListener("fetch", (event) => {
  const { method, url } = event.request;
  if (method !== "GET" || !url.startsWith(scope)) return;
  const path = decodeURIComponent(new URL(url).pathname.slice(new URL(scope).pathname.length)) || PAGE;
  if (!(path in self.FILES)) return;
  event.respondWith(
    answer(path, (work) => {
      writing.add(work);
      event.waitUntil(work.finally(() => writing.delete(work)));
    }),
  );
});

/** The first visit keeps the large files as the page loads them; an update loads them here, while the old version is used. */
async function install(): Promise<void> {
  const isUpdate = (await olderCaches()).length > 0;
  for (const path of Object.keys(self.FILES)) if (isUpdate || !isLarge(path)) await keep(path);
}

async function activate(): Promise<void> {
  for (const name of await olderCaches()) await caches.delete(name);
  await self.clients.claim();
}

async function answer(path: string, inBackground: (work: Promise<void>) => void): Promise<Response> {
  const cache = await caches.open(cacheName);
  const known = await cache.match(key(path));
  if (known) return known;
  const response = await fetch(new URL(path, scope), { cache: "no-cache" });
  if (response.ok) inBackground(put(cache, path, response.clone()).catch(() => {})); // full: isComplete tells
  return response;
}

async function isComplete(): Promise<boolean> {
  await Promise.all(writing);
  try {
    for (const path of Object.keys(self.FILES)) await keep(path);
    return true;
  } catch {
    return false;
  }
}

async function keep(path: string): Promise<void> {
  const cache = await caches.open(cacheName);
  if (await cache.match(key(path))) return;
  for (const name of await olderCaches()) {
    const same = await caches.match(key(path), { cacheName: name });
    if (same) return cache.put(key(path), same);
  }
  // not what the HTTP cache has: a server that goes by dates may call an old file unchanged
  await put(cache, path, await fetch(new URL(path, scope), { cache: "reload" }));
}

/** Throws where the content is that of another version: the server's files are just being replaced. */
async function put(cache: Cache, path: string, response: Response): Promise<void> {
  const data = await response.arrayBuffer();
  if ((await digest(data)) !== self.FILES[path]) throw new Error(`${path} does not belong to this version of the site`);
  const headers = new Headers(response.headers); // also those that allow threads
  for (const name of ["content-encoding", "content-length"]) headers.delete(name); // of what was sent, not of the content
  await cache.put(key(path), new Response(data, { headers }));
}

async function olderCaches(): Promise<string[]> {
  return (await caches.keys()).filter((name) => name.startsWith(prefix) && name !== cacheName);
}

function key(path: string): string {
  return `${new URL(path, scope).href}?${self.FILES[path]}`;
}

function isLarge(path: string): boolean {
  return path.startsWith("bundle/") || path.endsWith(".bin");
}

async function digest(data: ArrayBuffer): Promise<string> {
  const bytes = new Uint8Array(await crypto.subtle.digest("SHA-256", data));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export {};
