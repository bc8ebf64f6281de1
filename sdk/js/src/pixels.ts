/** Order of the bytes of a pixel; alpha is ignored. */
export type PixelFormat = "rgba" | "bgra" | "rgb" | "bgr" | "gray";

/** 8-bit pixels, row by row from the top: `ImageData`, or what a decoder returns. */
export interface PixelImage {
  data: Uint8Array | Uint8ClampedArray;
  width: number;
  height: number;
  /** Without it, or as `raw`: gray, rgb or rgba, by the number of bytes. */
  format?: PixelFormat | "raw" | undefined;
  /** Bytes from one row to the next; without it rows have no gaps. */
  stride?: number | undefined;
}
