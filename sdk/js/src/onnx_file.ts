/** ONNX files as far as JavaScript needs them: engines show it neither metadata nor shapes. */
import { RtmposeError } from "./errors.js";
import { bytesOf, fieldMap, fields, textEntries, textOf } from "./protobuf.js";

/** An input or output as a file declares it. */
export interface Declaration {
  name: string;
  /** `float32`, `int64`, `int32` or `other`. */
  type: string;
  /** -1 where it may vary. */
  dims: readonly number[];
}

/** The network in a file. */
export interface NetworkDeclaration {
  inputs: Declaration[];
  outputs: Declaration[];
  /** Names of layers and weights, one in each line. */
  layers: string;
}

// Fields of ONNX's messages, which are protobuf.
const MODEL = { graph: 7, metadata: 14 };
const GRAPH = { node: 1, initializer: 5, input: 11, output: 12 };
const NODE_NAME = 3;
const TENSOR_NAME = 8;
const VALUE = { name: 1, type: 2 };
const TYPE_TENSOR = 1;
const TENSOR_TYPE = { element: 1, shape: 2 };
const SHAPE_DIMENSION = 1;
const DIMENSION_VALUE = 1;
const ELEMENTS: Record<number, string> = { 1: "float32", 6: "int32", 7: "int64" };

/** The texts of a file's metadata. */
export function readMetadata(file: Uint8Array): Map<string, string> {
  return guarded(() => textEntries(file, MODEL.metadata));
}

/** What the file declares of its network; weights are skipped. */
export function readNetwork(file: Uint8Array): NetworkDeclaration {
  return guarded(() => {
    const inputs: Declaration[] = [];
    const outputs: Declaration[] = [];
    const layers: string[] = [];
    for (const [field, graph] of fields(file)) {
      if (field !== MODEL.graph) continue;
      for (const [part, value] of fields(bytesOf(graph))) {
        if (part === GRAPH.node) layers.push(textOf(fieldMap(bytesOf(value)).get(NODE_NAME)));
        if (part === GRAPH.initializer) {
          layers.push(textOf(fieldMap(bytesOf(value)).get(TENSOR_NAME)));
        }
        if (part === GRAPH.input) inputs.push(declaration(bytesOf(value)));
        if (part === GRAPH.output) outputs.push(declaration(bytesOf(value)));
      }
    }
    return { inputs, outputs, layers: layers.join("\n") };
  });
}

function declaration(message: Uint8Array): Declaration {
  const value = fieldMap(message);
  const tensor = fieldMap(bytesOf(fieldMap(bytesOf(value.get(VALUE.type))).get(TYPE_TENSOR)));
  const dims: number[] = [];
  for (const [field, content] of fields(bytesOf(tensor.get(TENSOR_TYPE.shape)))) {
    if (field !== SHAPE_DIMENSION) continue;
    const size = fieldMap(bytesOf(content)).get(DIMENSION_VALUE);
    dims.push(typeof size === "number" && size > 0 ? size : -1);
  }
  const element = tensor.get(TENSOR_TYPE.element);
  const type = (typeof element === "number" && ELEMENTS[element]) || "other";
  return { name: textOf(value.get(VALUE.name)), type, dims };
}

/** Runs a task whose errors mean a damaged file. */
export function guarded<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof RtmposeError) throw error;
    throw new RtmposeError("model", "this is not an ONNX file, or it is cut off", error);
  }
}
