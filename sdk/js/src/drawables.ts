import { messageOf, RtmposeError } from "./errors.js";
import type { PixelImage } from "./pixels.js";

/** One of the browser's classes; nothing in programs whose types have no browser, as in Node. */
type OfBrowser<Name extends string> =
  typeof globalThis extends Record<Name, { prototype: infer Instance }> ? Instance : never;

/** What a browser can draw on a canvas; `Blob` and `File` are decoded, turned as EXIF says. */
export type Drawable =
  | OfBrowser<"HTMLImageElement">
  | OfBrowser<"HTMLVideoElement">
  | OfBrowser<"HTMLCanvasElement">
  | OfBrowser<"OffscreenCanvas">
  | OfBrowser<"ImageBitmap">
  | OfBrowser<"VideoFrame">
  | OfBrowser<"Blob">;

const CLASSES = [
  "HTMLImageElement",
  "HTMLVideoElement",
  "HTMLCanvasElement",
  "OffscreenCanvas",
  "ImageBitmap",
  "VideoFrame",
  "Blob",
] as const;

type Canvas2D = CanvasRenderingContext2D | OffscreenCanvasRenderingContext2D;

/** Whether this is one of the browser's own image classes; none of them exists in Node. */
export function isDrawable(image: object): image is Drawable {
  return CLASSES.some((name) => isA(image, name));
}

function isA(image: object, name: string): boolean {
  const type = (globalThis as Record<string, unknown>)[name];
  return typeof type === "function" && image instanceof type;
}

let canvas: OffscreenCanvas | HTMLCanvasElement | undefined;
let context: Canvas2D | undefined;

/**
 * The pixels of something drawable.
 *
 * More than `maxPixels` are shrunk while drawing: phones refuse large canvases.
 */
export async function readPixels(
  image: Drawable,
  maxPixels: number,
): Promise<{ pixels: PixelImage; scale: number }> {
  const source = isA(image, "Blob") ? await decode(image as Blob) : (image as CanvasImageSource);
  try {
    return draw(source, maxPixels);
  } finally {
    if (source !== image) (source as ImageBitmap).close();
  }
}

async function decode(file: Blob): Promise<ImageBitmap> {
  if (typeof createImageBitmap !== "function") {
    const text = "files are not decoded here: decode them first, and give the pixels";
    throw new RtmposeError("image", text);
  }
  try {
    return await createImageBitmap(file, { imageOrientation: "from-image" });
  } catch (error) {
    const name = "name" in file ? String(file.name) : "this file";
    throw new RtmposeError("image", `${name} is not an image that the browser can read`, error);
  }
}

function draw(
  source: CanvasImageSource,
  maxPixels: number,
): { pixels: PixelImage; scale: number } {
  const [fullWidth, fullHeight] = sizeOf(source);
  if (!(fullWidth > 0 && fullHeight > 0)) {
    const text = `an image of ${fullWidth}x${fullHeight} pixels has nothing to look at`;
    throw new RtmposeError("image", `${text}: has it been loaded, and not been closed?`);
  }

  // One factor for both sides; rounding moves the far corner by less than a pixel.
  const scale = Math.max(1, Math.sqrt((fullWidth * fullHeight) / maxPixels));
  const width = Math.max(1, Math.round(fullWidth / scale));
  const height = Math.max(1, Math.round(fullHeight / scale));
  try {
    const target = drawingContext(width, height);
    target.clearRect(0, 0, width, height);
    target.drawImage(source, 0, 0, width, height);
    const { data } = target.getImageData(0, 0, width, height);
    return { pixels: { data, width, height, format: "rgba" }, scale };
  } catch (error) {
    if (error instanceof RtmposeError) throw error;
    const hint =
      error instanceof DOMException && error.name === "SecurityError"
        ? "images of other sites need crossorigin='anonymous' and the site's leave (CORS)"
        : messageOf(error);
    throw new RtmposeError("image", `the browser does not give the pixels: ${hint}`, error);
  }
}

function sizeOf(source: CanvasImageSource): [number, number] {
  // Each class has other names for the size in pixels.
  if ("naturalWidth" in source) return [source.naturalWidth, source.naturalHeight];
  if ("videoWidth" in source) return [source.videoWidth, source.videoHeight];
  if ("displayWidth" in source) return [source.displayWidth, source.displayHeight];
  return [Number(source.width), Number(source.height)];
}

function drawingContext(width: number, height: number): Canvas2D {
  if (!canvas || !context) {
    canvas =
      typeof OffscreenCanvas === "function"
        ? new OffscreenCanvas(width, height)
        : document.createElement("canvas");
    const made = canvas.getContext("2d", { willReadFrequently: true });
    if (!made) throw new RtmposeError("image", "the browser gives no canvas to read pixels from");
    context = made as Canvas2D;
  }
  if (canvas.width !== width || canvas.height !== height) {
    canvas.width = width;
    canvas.height = height;
  }
  return context;
}
