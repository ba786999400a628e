// The service worker as the page uses it. Without one, as on servers without HTTPS, the site works online only.

const PATIENCE = 5000; // ms, for the service worker of a first visit

export interface Offline {
  /** Whether the site will work without a connection. Call it after the bundle has been loaded. */
  isComplete(): Promise<boolean>;
}

/** Start keeping this site's files. Resolves when the service worker sees the page's requests, or will not. */
export async function keepOffline(): Promise<Offline> {
  const never = { isComplete: () => Promise.resolve(false) };
  if (!("serviceWorker" in navigator)) return never;
  try {
    const controlled = new Promise<void>((resolve) =>
      navigator.serviceWorker.addEventListener("controllerchange", () => resolve(), { once: true }),
    );
    const registration = await navigator.serviceWorker.register("sw.js", { updateViaCache: "none" });
    if (navigator.serviceWorker.controller) void registration.update().catch(() => {}); // without a connection there is no update
    else {
      await Promise.race([controlled, failed(registration), new Promise((resolve) => setTimeout(resolve, PATIENCE))]);
    }
    return { isComplete: () => isComplete(registration) };
  } catch {
    return never; // private windows of some browsers refuse
  }
}

function failed(registration: ServiceWorkerRegistration): Promise<void> {
  const worker = registration.installing;
  return new Promise((resolve) =>
    worker?.addEventListener("statechange", () => worker.state === "redundant" && resolve()),
  );
}

/** The update is activated after the answer: it removes what the old version would answer about. */
async function isComplete(registration: ServiceWorkerRegistration): Promise<boolean> {
  const worker = navigator.serviceWorker.controller;
  if (!worker) return false;
  const replaced = new Promise<ServiceWorker>((resolve) =>
    navigator.serviceWorker.addEventListener("controllerchange", () => resolve(navigator.serviceWorker.controller ?? worker), { once: true }),
  );
  const answer = await Promise.race([ask(worker), replaced.then(ask)]); // replaced: by another tab
  activateUpdate(registration);
  return answer;
}

function ask(worker: ServiceWorker): Promise<boolean> {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = ({ data }) => resolve(data as boolean);
    worker.postMessage("complete", [port2]);
  });
}

/** An update takes effect at the next visit. A page that has loaded everything needs the old version no more. */
function activateUpdate(registration: ServiceWorkerRegistration): void {
  const activate = () => registration.waiting?.postMessage("activate");
  const watch = () => registration.installing?.addEventListener("statechange", activate);
  activate();
  watch();
  registration.addEventListener("updatefound", watch);
}
