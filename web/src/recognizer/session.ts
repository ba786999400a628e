// Runs ONNX files; the only module that imports onnxruntime-web.

import * as ort from "onnxruntime-web/wasm";

export interface Tensor {
  data: Float32Array;
  dims: readonly number[];
}

export interface Session {
  /** The first output for one input. */
  run(input: string, type: "uint8" | "float32", data: Uint8Array | Float32Array, dims: number[]): Promise<Tensor>;
}

/**
 * Prepare onnxruntime. glue: URL of its script; binary: its WebAssembly module; threads: more than one needs a page that is
 * isolated from others (crossOriginIsolated).
 */
export function prepareRuntime(glue: string, binary: Uint8Array, threads: number): void {
  ort.env.wasm.wasmPaths = { mjs: glue };
  ort.env.wasm.wasmBinary = binary;
  ort.env.wasm.numThreads = threads;
  ort.env.logLevel = "error";
}

export async function openSession(model: Uint8Array): Promise<Session> {
  const session = await ort.InferenceSession.create(model, { executionProviders: ["wasm"], logSeverityLevel: 3 });
  delete ort.env.wasm.wasmBinary; // the runtime has it now; 14 MB
  const output = session.outputNames[0]!;
  return {
    async run(input, type, data, dims) {
      const given =
        type === "uint8" ? new ort.Tensor(type, data as Uint8Array, dims) : new ort.Tensor(type, data as Float32Array, dims);
      const found = (await session.run({ [input]: given }))[output]!;
      return { data: found.data as Float32Array, dims: found.dims };
    },
  };
}
