import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { defineConfig, type Plugin } from "vite";

/**
 * onnxruntime's files beside ours: its script, and its WebAssembly module, compressed because many static servers don't. The
 * suffix is not .gz, for which some servers would announce an encoding, nor .mjs, which some serve with a wrong type.
 */
function runtime(): Plugin {
  const read = (name: string) => readFileSync(fileURLToPath(import.meta.resolve(`onnxruntime-web/${name}`)));
  return {
    name: "onnxruntime",
    generateBundle() {
      this.emitFile({ type: "asset", fileName: "runtime/ort.js", source: read("ort-wasm-simd-threaded.mjs") });
      const module = gzipSync(read("ort-wasm-simd-threaded.wasm"), { level: 7 });
      this.emitFile({ type: "asset", fileName: "runtime/ort.wasm.bin", source: module });
    },
  };
}

/** What index.html says before its script runs: %say.KEY%, in each language. */
function words(): Plugin {
  const folder = new URL("src/words/", import.meta.url);
  const all = readdirSync(folder).sort().map((name) => JSON.parse(readFileSync(new URL(name, folder), "utf-8")) as Record<string, string>);
  const said = (key: string) => [...new Set(all.map((one) => one[key]!))].join(" ");
  return { name: "words", transformIndexHtml: (html) => html.replace(/%say\.([\w.]+)%/g, (_, key: string) => said(key)) };
}

/** The service worker: a script of its own that has to lie beside the page, under a name that stays. */
function serviceWorker(): Plugin {
  const id = fileURLToPath(new URL("src/serviceWorker.ts", import.meta.url));
  return {
    name: "service-worker",
    apply: "build",
    buildStart() {
      this.emitFile({ type: "chunk", id, fileName: "sw.js" });
    },
  };
}

export default defineConfig({
  base: "./", // the site may lie in any folder of a server
  build: { target: "es2022", assetsInlineLimit: 0, modulePreload: false },
  worker: { format: "es" },
  resolve: { conditions: ["onnxruntime-web-use-extern-wasm", "module", "browser", "import", "default"] },
  plugins: [runtime(), serviceWorker(), words()],
});
