// Runs `python -m tests.wasm` in CPython compiled to WebAssembly.
//
// Usage: node run.mjs PYODIDE SITE_PACKAGES...
//   PYODIDE        the folder of the npm package `pyodide`
//   SITE_PACKAGES  folders of installed Python packages, the first one first

import { resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { isMainThread, Worker } from "node:worker_threads";

const [pyodideFolder, ...sitePackages] = process.argv.slice(2);

async function main() {
  const module = pathToFileURL(resolve(pyodideFolder, "pyodide.mjs"));
  const { loadPyodide } = await import(module);
  const folders = [fileURLToPath(new URL("../..", import.meta.url)), ...sitePackages];
  const mounts = folders.map((folder, index) => ({ folder, path: `/mnt/${index}` }));
  const python = await loadPyodide({
    stdout: (line) => console.log(line),
    stderr: (line) => console.error(line),
    env: {
      // Its C extension is for another machine.
      MULTIDICT_NO_EXTENSIONS: "1",
      PYTEST_DISABLE_PLUGIN_AUTOLOAD: "1",
      PYTHONDONTWRITEBYTECODE: "1",
    },
  });
  for (const { folder, path } of mounts) {
    python.FS.mkdirTree(path);
    python.FS.mount(python.FS.filesystems.NODEFS, { root: resolve(folder) }, path);
  }
  python.FS.chdir(mounts[0].path);
  const paths = JSON.stringify(mounts.map((mount) => mount.path));
  python.runPython(`import sys; sys.path[:0] = ${paths}; print("CPython", sys.version)`);
  return python.runPython("from tests.wasm.__main__ import main; main()");
}

if (isMainThread) {
  // Python's recursion needs more stack than the main thread of Node.js has.
  const options = { argv: process.argv.slice(2), resourceLimits: { stackSizeMb: 64 } };
  const worker = new Worker(new URL(import.meta.url), options);
  worker.on("exit", (code) => (process.exitCode = code));
} else {
  process.exitCode = await main();
}
