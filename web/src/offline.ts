// The service worker as the page uses it. Without one, as on servers without HTTPS, the site works online only.

const PATIENCE = 5000; // ms, for the service worker of a first visit

export interface Offline {
  /** Whether the site will work without a connection. Call it after the bundle has been loaded. */
  isComplete(): Promise<boolean>;
  /** Let an update take effect at the next visit. Call it once the page needs no more files of its own version. */
  activateUpdate(): void;
}

/** Start keeping this site's files. Resolves when the service worker sees the page's requests, or will not. */
export async function keepOffline(): Promise<Offline> {
  if (!("serviceWorker" in navigator)) return NEVER;
  try {
    const controlled = new Promise<void>((resolve) =>
      navigator.serviceWorker.addEventListener("controllerchange", () => resolve(), { once: true }),
    );
    const registration = await navigator.serviceWorker.register("sw.js", { updateViaCache: "none" });
    // browsers look for an update by themselves only some time after a visit, and never after a reload that bypasses the worker
    if (registration.active) void registration.update().catch(() => {}); // without a connection there is no update
    else {
      await Promise.race([controlled, failed(registration), new Promise((resolve) => setTimeout(resolve, PATIENCE))]);
    }
    return { isComplete: () => isComplete(registration), activateUpdate: () => activateUpdate(registration) };
  } catch {
    return NEVER; // private windows of some browsers refuse
  }
}

const NEVER: Offline = { isComplete: () => Promise.resolve(false), activateUpdate: () => {} };

function failed(registration: ServiceWorkerRegistration): Promise<void> {
  const worker = registration.installing;
  return new Promise((resolve) =>
    worker?.addEventListener("statechange", () => worker.state === "redundant" && resolve()),
  );
}

async function isComplete(registration: ServiceWorkerRegistration): Promise<boolean> {
  const worker = navigator.serviceWorker.controller ?? registration.active; // no controller: the reload bypassed the worker
  if (!worker) return false;
  const replaced = new Promise<ServiceWorker>((resolve) =>
    navigator.serviceWorker.addEventListener("controllerchange", () => resolve(navigator.serviceWorker.controller ?? worker), { once: true }),
  );
  return Promise.race([ask(worker), replaced.then(ask)]); // replaced: by another tab
}

function ask(worker: ServiceWorker): Promise<boolean> {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = ({ data }) => resolve(data as boolean);
    worker.postMessage("complete", [port2]);
  });
}

function activateUpdate(registration: ServiceWorkerRegistration): void {
  const activate = (worker: ServiceWorker | null): void => {
    if (worker?.state === "installed") worker.postMessage("activate");
    else worker?.addEventListener("statechange", () => activate(worker), { once: true });
  };
  activate(registration.waiting);
  activate(registration.installing);
  registration.addEventListener("updatefound", () => activate(registration.installing));
}
