import { isDrawable, readPixels, type Drawable } from "./drawables.js";
import { RtmposeError } from "./errors.js";
import type { PixelFormat, PixelImage } from "./pixels.js";

export type { PixelFormat, PixelImage };

/** Anything that has pixels. */
export type ImageSource = PixelImage | Drawable;

/** Checked pixels in the order they came in. */
export interface RawImage {
  data: Uint8Array;
  width: number;
  height: number;
  format: PixelFormat;
  stride: number;
  /** Pixels of the caller's image per pixel of this one: 1 unless it had to be shrunk. */
  scale: number;
}

/** Pixels as the one-graph network takes them: BGR without gaps. */
export interface BgrImage {
  data: Uint8Array;
  width: number;
  height: number;
  /** As of {@link RawImage}. */
  scale: number;
}

const CHANNELS: Record<PixelFormat, number> = { rgba: 4, bgra: 4, rgb: 3, bgr: 3, gray: 1 };
const BY_CHANNELS: Record<number, PixelFormat> = { 1: "gray", 3: "rgb", 4: "rgba" };
const BYTES = ["[object Uint8Array]", "[object Uint8ClampedArray]"];

/** Images whose pixels would not fit a 32-bit WebAssembly memory anyway. */
const MOST_BYTES = 2 ** 31 - 1;

/** Reads and checks the pixels of an image. */
export async function toRaw(image: ImageSource, maxPixels: number): Promise<RawImage> {
  if (image === null || typeof image !== "object") {
    throw new RtmposeError("image", `an image is an object with pixels, not ${describe(image)}`);
  }
  if (!isDrawable(image)) return checked(image, 1);
  const { pixels, scale } = await readPixels(image, maxPixels);
  return checked(pixels, scale);
}

/**
 * Brings an image into BGR.
 *
 * @param buffer Reused where it is large enough.
 */
export function toBgr(image: RawImage, buffer?: Uint8Array): BgrImage {
  const { data, width, height, format, stride, scale } = image;

  // What is there already is not copied.
  const size = width * height * 3;
  if (format === "bgr" && stride === width * 3) {
    return { data: data.subarray(0, size), width, height, scale };
  }

  const out = buffer && buffer.length >= size ? buffer.subarray(0, size) : new Uint8Array(size);
  const step = CHANNELS[format];
  const red = format === "rgba" || format === "rgb" ? 0 : format === "gray" ? 0 : 2;
  const green = format === "gray" ? 0 : 1;
  const blue = format === "gray" ? 0 : 2 - red;
  let to = 0;
  for (let y = 0; y < height; y++) {
    const end = y * stride + width * step;
    for (let from = y * stride; from < end; from += step) {
      out[to] = data[from + blue];
      out[to + 1] = data[from + green];
      out[to + 2] = data[from + red];
      to += 3;
    }
  }
  return { data: out, width, height, scale };
}

function checked(image: PixelImage, scale: number): RawImage {
  const { data, width, height } = image;
  if (typeof width !== "number" || typeof height !== "number") {
    const sides = `width is ${describe(width)}, and height ${describe(height)}`;
    const text = `an image without numbers for its sides has nothing to look at: ${sides}`;
    throw new RtmposeError("image", `${text}${hintFor(image)}`);
  }
  if (!isSide(width) || !isSide(height)) {
    const text = `an image of ${width}x${height} pixels has nothing to look at`;
    throw new RtmposeError("image", `${text}${hintFor(image)}`);
  }

  // Arrays of another realm (test runners, iframes) are no instances of this one's classes.
  const tag = Object.prototype.toString.call(data);
  if (!BYTES.includes(tag)) {
    const text = `pixels are a Uint8Array, not ${describe(data)}`;
    throw new RtmposeError("image", `${text}${hintForNumbers(tag)}`);
  }
  const { depth } = image as { depth?: unknown }; // sharp's
  if (depth !== undefined && depth !== "uchar") {
    const text = `pixels have 8 bits a channel, not ${describe(depth)}`;
    throw new RtmposeError("image", `${text}: of sharp's images take raw({ depth: "uchar" })`);
  }
  if (width * height * 3 > MOST_BYTES) {
    throw new RtmposeError("image", `an image of ${width}x${height} pixels is too large`);
  }

  // The format says how long the array is, or its length says the format.
  const named = image.format === "raw" ? undefined : image.format;
  const format = named ?? BY_CHANNELS[data.length / (width * height)];
  if (format === undefined) {
    const text = `${data.length} bytes are no ${width}x${height} image of 1, 3 or 4 bytes a pixel`;
    throw new RtmposeError("image", `${text}: ${hintForLength(image)}`);
  }
  const channels = CHANNELS[format];
  if (channels === undefined) {
    const names = Object.keys(CHANNELS).join(", ");
    throw new RtmposeError("image", `there is no pixel format ${describe(format)}: ${names}`);
  }

  const row = width * channels;
  const stride = image.stride ?? row;
  if (!Number.isInteger(stride) || stride < row) {
    throw new RtmposeError("image", `a stride of ${stride} bytes is less than a row of ${row}`);
  }
  const needed = stride * (height - 1) + row;
  const exact = named === undefined || image.stride === undefined;
  if (data.length < needed || (exact && data.length !== needed && stride === row)) {
    const text = `${width}x${height} pixels in ${format} need ${needed} bytes, not ${data.length}`;
    throw new RtmposeError("image", text);
  }
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return { data: bytes, width, height, format, stride, scale };
}

/** What somebody may have meant whose array has another length. */
function hintForLength({ data, width, height, stride }: PixelImage): string {
  if (data.length === 0) return "the array is empty; was it transferred to a worker?";
  if (stride !== undefined) return "rows with gaps need a format";
  const bytes = data.length / (width * height);
  if (bytes === 2) return "two are gray with alpha, or 16 bits; give one byte of gray";
  if ([6, 8].includes(bytes)) return "16 bits a channel have to be brought to 8 first";
  if ([12, 16].includes(bytes)) return "floats have to be brought to bytes, 0 to 255, first";
  return "encoded files (JPEG, PNG) have to be decoded first";
}

/** What to do with pixels that are no bytes; for arrays by their tags. */
function hintForNumbers(tag: string): string {
  if (tag === "[object Uint16Array]") return ": take the upper byte of each, value >> 8";
  if (tag === "[object Float32Array]") return ": of floats from 0 to 1 take 255 times each";
  return "";
}

/** What somebody may have meant who gives an object without width and height. */
function hintFor(image: object): string {
  if (image instanceof Promise) return ": it is a promise: await it";
  if (ArrayBuffer.isView(image) || image instanceof ArrayBuffer) {
    return ": files (JPEG, PNG) have to be decoded first; then give { data, width, height }";
  }
  if ("info" in image && "data" in image) return ": of sharp's result give { data, ...info }";
  if ("bitmap" in image) return ": give its property bitmap";
  if ("rows" in image && "cols" in image) {
    return ": give { data, width: cols, height: rows, format }";
  }
  return "";
}

function isSide(value: unknown): boolean {
  return Number.isInteger(value) && (value as number) > 0;
}

function describe(value: unknown): string {
  if (value === null) return "null";
  if (typeof value === "object") return value.constructor?.name ?? "an object";
  return typeof value === "string" ? `the text ${JSON.stringify(value)}` : String(value);
}
