// Keeps what the page needs to work without the service: first from the network, else what was
// kept. Files with a version in their address never change.

const PREFIX = "rtmpose-";
// A proxy may show the service below a prefix.
const ROOT = new URL("./", location).pathname;
const FIXED = /^v1\/web\/[0-9a-f]+\//;

self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));

self.addEventListener("message", (event) => {
  const { version, addresses } = event.data;
  const [port] = event.ports;
  const kept = keep(version, addresses).then(
    () => true,
    () => false, // no room, or the service went away
  );
  event.waitUntil(kept.then((whole) => port.postMessage(whole)));
});

self.addEventListener("fetch", (event) => {
  const url = new URL(event.request.url);
  if (event.request.method !== "GET" || url.origin !== location.origin) return;
  if (!url.pathname.startsWith(ROOT)) return;
  const path = url.pathname.slice(ROOT.length);
  const kept = path === "" || path.startsWith("static/");
  const fixed = isFixed(url.pathname);
  if (!kept && !fixed && !["v1/models", "v1/web"].includes(path)) return;
  event.respondWith(fixed ? keptFirst(event.request) : networkFirst(event.request));
});

function isFixed(pathname) {
  return FIXED.test(pathname.slice(ROOT.length));
}

async function keep(version, addresses) {
  for (const name of await caches.keys()) {
    if (name.startsWith(PREFIX) && name !== PREFIX + version) await caches.delete(name);
  }
  const cache = await caches.open(PREFIX + version);
  for (const address of addresses) {
    if (isFixed(address) && (await cache.match(address))) continue;
    const answer = await fetch(address);
    if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
    await cache.put(address, answer);
  }
}

async function keptFirst(request) {
  return (await caches.match(request, { ignoreSearch: true })) ?? fetch(request);
}

async function networkFirst(request) {
  try {
    return await fetch(request);
  } catch (error) {
    const kept = await caches.match(request, { ignoreSearch: true });
    if (kept) return kept;
    throw error;
  }
}
