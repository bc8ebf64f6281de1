import { PoseEstimator, PoseTracker } from "rtmpose";

const find = (id) => document.getElementById(id);
const canvas = find("canvas");
const context = canvas.getContext("2d");
const MIN_SCORE = 0.3;
const MOST_WIDTH = 1920; // phones refuse large canvases
const video = document.createElement("video");
video.muted = video.playsInline = true; // else phones do not play it in the page
let tracker;

find("model").onchange = guarded(async ({ target }) => {
  stopCamera();
  say("Loading the model ...");
  await tracker?.dispose();
  await tracker?.estimator.dispose();
  const estimator = await PoseEstimator.create({
    model: await target.files[0].arrayBuffer(),
    executionProviders: ["webgpu", "wasm"],
    wasmPaths: new URL("node_modules/onnxruntime-web/dist/", location.href).href,
  });
  tracker = await PoseTracker.create({ estimator });
  find("photo").disabled = find("camera").disabled = false;
  say(`${estimator.modelId} on ${estimator.provider}. ${estimator.fallback}`);
});

find("photo").onchange = guarded(async ({ target }) => {
  stopCamera();
  // Decoded once; turned as the camera was held.
  const image = await createImageBitmap(target.files[0]);
  const people = await tracker.estimator.estimate(image);
  draw(image, image.width, image.height, people);
  say(`${people.length} people`);
  image.close();
});

find("camera").onclick = guarded(async () => {
  stopCamera();
  const stream = await navigator.mediaDevices.getUserMedia({ video: true });
  video.srcObject = stream;
  await video.play();
  tracker.reset();
  const next = guarded(async () => {
    const start = performance.now();
    const people = await tracker.track(video, { timeS: start / 1000 });
    if (video.srcObject !== stream) return; // stopped meanwhile
    draw(video, video.videoWidth, video.videoHeight, people);
    say(`${people.length} people, ${(performance.now() - start).toFixed(0)} ms`);
    requestAnimationFrame(next);
  });
  await next();
});

function stopCamera() {
  for (const track of video.srcObject?.getTracks() ?? []) track.stop();
  video.srcObject = null;
}

function draw(image, width, height, people) {
  const scale = Math.min(1, MOST_WIDTH / width);
  [canvas.width, canvas.height] = [Math.round(width * scale), Math.round(height * scale)];
  context.scale(scale, scale);
  context.drawImage(image, 0, 0);
  context.lineWidth = Math.max(2, width / 300);
  context.font = `${Math.max(14, width / 40)}px sans-serif`;
  context.strokeStyle = context.fillStyle = "lime";
  for (const { box, id, keypoints, scores } of people) {
    for (const [a, b] of tracker.estimator.skeleton.links) {
      if (Math.min(scores[a], scores[b]) < MIN_SCORE) continue;
      context.beginPath();
      context.moveTo(keypoints[2 * a], keypoints[2 * a + 1]);
      context.lineTo(keypoints[2 * b], keypoints[2 * b + 1]);
      context.stroke();
    }
    if (id) context.fillText(String(id), box[0], box[1]);
  }
}

function guarded(task) {
  return (event) => task(event).catch((error) => say(error.message));
}

function say(text) {
  find("status").textContent = text;
}
