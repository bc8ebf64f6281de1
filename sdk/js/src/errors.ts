/** What kind of thing went wrong; stable, for programs. */
export type ErrorCode =
  | "argument" // an option or argument makes no sense
  | "image" // an image is empty, damaged or not readable
  | "boxes" // boxes are not numbers, or not boxes
  | "model" // a model file is missing, damaged or of another kind
  | "engine" // ONNX Runtime is missing, or failed
  | "core" // the package's own WebAssembly is missing, or failed
  | "disposed"; // an object was used after dispose()

/** Every error of this package; `code` tells programs, `message` tells people. */
export class RtmposeError extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = "RtmposeError";
    this.code = code;
  }
}

/** The text of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
