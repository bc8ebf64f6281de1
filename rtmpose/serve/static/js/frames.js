// The frames of a playing video, also in browsers that do not tell of each.

/** Call `callback(now, {mediaTime})` at the next frame, or at the next time the page is drawn. */
export function onNextFrame(video, callback) {
  if (video.requestVideoFrameCallback) {
    video.requestVideoFrameCallback(callback);
    return;
  }
  requestAnimationFrame((now) => callback(now, { mediaTime: video.currentTime }));
}
