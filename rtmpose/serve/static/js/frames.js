// Videos in the browser: opened, and their frames, also in browsers that do not tell of each.

const FIRST_FRAME_MS = 1000;
const SEEK_MS = 300;
const END_MS = 5000;
const FAR_S = 1e9;

/** Call `callback(now, {mediaTime})` at the next frame, or at the next time the page is drawn. */
export function onNextFrame(video, callback) {
  if (video.requestVideoFrameCallback) {
    video.requestVideoFrameCallback(callback);
    return;
  }
  requestAnimationFrame((now) => callback(now, { mediaTime: video.currentTime }));
}

/**
 * Load a video: `{start, end}`, the seconds of its first frame and of its end.
 *
 * Sound may begin before the picture does: then the first frame is not at 0.
 */
export async function openVideo(video, url) {
  const first = new Promise((resolve) => {
    onNextFrame(video, (_, { mediaTime }) => resolve(mediaTime));
  });
  video.muted = true;
  video.playsInline = true;
  video.preload = "auto";
  video.src = url;
  await new Promise((resolve, reject) => {
    video.onloadeddata = resolve;
    video.onerror = () => reject(new Error(video.error?.message || "video"));
  });
  // A page that is not seen is told of no frames.
  const start = await within(first, FIRST_FRAME_MS, 0);
  if (Number.isFinite(video.duration)) return { start, end: video.duration };

  // Recordings of browsers do not say how long they are: at their end it is known.
  const known = new Promise((resolve) => {
    video.ondurationchange = () => Number.isFinite(video.duration) && resolve();
  });
  video.currentTime = FAR_S;
  await within(known, END_MS);
  video.ondurationchange = null;
  await seek(video, start);
  return { start, end: Number.isFinite(video.duration) ? video.duration : video.currentTime };
}

/** Go to a time of a video; afterwards its frame can be drawn. */
export async function seek(video, time) {
  if (video.currentTime === time) return;
  const done = new Promise((resolve) => (video.onseeked = resolve));
  const drawn = new Promise((resolve) => onNextFrame(video, resolve));
  video.currentTime = time;
  await done;
  await within(drawn, SEEK_MS);
}

/** What a promise gives, or `otherwise` where that takes too long. */
function within(promise, ms, otherwise) {
  return Promise.race([promise, new Promise((resolve) => setTimeout(resolve, ms, otherwise))]);
}
