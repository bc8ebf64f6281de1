/** A server for one page on loopback, isolated across origins so that WebAssembly has threads. */
import { createReadStream, existsSync, statSync } from "node:fs";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";

const TYPES = {
  ".html": "text/html",
  ".js": "text/javascript",
  ".mjs": "text/javascript",
  ".wasm": "application/wasm",
  ".png": "image/png",
  ".jpg": "image/jpeg",
};

/**
 * @param folders What lies below each first part of a path; the value may be one file.
 * @param isolated Whether pages may use threads.
 * @param policy The pages' Content-Security-Policy.
 * @param types Content types by endings, instead of the right ones.
 */
export async function serve(folders, { isolated = true, policy = "", types = {} } = {}) {
  const typeOf = { ...TYPES, ...types };
  const server = createServer((request, response) => {
    const path = decodeURIComponent(new URL(request.url, "http://localhost").pathname);
    const [, first, ...rest] = path.split("/");
    const base = folders[first];
    const file = base && join(base, normalize(`/${rest.join("/")}`));
    const clean = file?.replace(/\/$/, "");
    if (!clean || !existsSync(clean) || !statSync(clean).isFile()) {
      response.writeHead(404).end();
      return;
    }
    const headers = { "Content-Type": typeOf[extname(clean)] ?? "application/octet-stream" };
    if (policy) headers["Content-Security-Policy"] = policy;
    if (isolated) {
      headers["Cross-Origin-Opener-Policy"] = "same-origin";
      headers["Cross-Origin-Embedder-Policy"] = "require-corp";
    }
    response.writeHead(200, headers);
    createReadStream(clean).pipe(response);
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    close: () => {
      server.closeAllConnections();
      return new Promise((done) => server.close(done));
    },
  };
}
