/** What the browser test calls from outside. */
import { Detector, PoseDetector, PoseEstimator, PoseTracker } from "rtmpose";

const WASM = "/ort/";

/** People of several kinds of image; a function of `sources` makes the image. */
const sources = {
  async blob(url) {
    return (await fetch(url)).blob();
  },
  async element(url) {
    const image = new Image();
    image.src = url;
    await image.decode();
    return image;
  },
  async bitmap(url) {
    return createImageBitmap(await sources.blob(url));
  },
  async offscreen(url) {
    const bitmap = await sources.bitmap(url);
    const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
    canvas.getContext("2d").drawImage(bitmap, 0, 0);
    return canvas;
  },
  async canvas(url) {
    const bitmap = await sources.bitmap(url);
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [bitmap.width, bitmap.height];
    canvas.getContext("2d").drawImage(bitmap, 0, 0);
    return canvas;
  },
  async frame(url) {
    return new VideoFrame(await sources.bitmap(url), { timestamp: 0 });
  },
  async pixels(url) {
    const canvas = await sources.offscreen(url);
    return canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  },
};

function plain(people) {
  return people.map((person) => ({
    ...person,
    box: Array.from(person.box),
    keypoints: Array.from(person.keypoints),
    scores: Array.from(person.scores),
  }));
}

async function failure(task) {
  try {
    await task();
    return null;
  } catch (error) {
    return { name: error.name, code: error.code, message: error.message };
  }
}

let estimator;

globalThis.calls = {
  async open(options = {}) {
    await estimator?.dispose();
    estimator = await PoseEstimator.create({ model: "/model.onnx", wasmPaths: WASM, ...options });
    const { provider, fallback, modelId } = estimator;
    return { provider, fallback, modelId, isolated: crossOriginIsolated };
  },
  async estimate(kind, url) {
    const image = await sources[kind](url);
    return plain(await estimator.estimate(image));
  },
  async track(kind, url, frames) {
    const tracker = await PoseTracker.create({ estimator });
    const ids = [];
    for (let i = 0; i < frames; i++) {
      const people = await tracker.track(await sources[kind](url), { timeS: i / 10 });
      ids.push(people.map((person) => person.id));
    }
    await tracker.dispose();
    return ids;
  },
  /** People by networks of their own files: once found, then followed. */
  async networks(url) {
    // Opened at the same time, one of them from what fetch gives.
    const [detector, pose] = await Promise.all([
      Detector.create({ model: "/detector.onnx", wasmPaths: WASM }),
      PoseDetector.create({ model: await fetch("/pose.onnx"), wasmPaths: WASM }),
    ]);
    const image = await sources.blob(url);
    const people = plain(await pose.findPeople(detector, image, { personThr: 0 }));
    const inBoxes = plain(
      await pose.apply(image, { boxes: people.map((person) => person.box) }),
    );
    const tracker = await PoseTracker.create({ detector, pose });
    const ids = [];
    for (let i = 0; i < 2; i++) {
      ids.push((await tracker.track(image, { timeS: i / 10 })).map((person) => person.id));
    }
    const { provider } = pose;
    await tracker.dispose();
    await Promise.all([detector.dispose(), pose.dispose()]);
    return { people, inBoxes, ids, provider };
  },
  /** The same people by networks in folders: below an URL, and as files. */
  async folders(url, inBoxes) {
    const names = ["deploy.json", "pipeline.json", "end2end.onnx"];
    const blob = async (name) => (await fetch(`/folder/${name}`)).blob();
    const files = Object.fromEntries(
      await Promise.all(names.map(async (name) => [name, await blob(name)])),
    );
    const image = await sources.blob(url);
    const found = [];
    for (const model of ["/folder/", files]) {
      const pose = await PoseDetector.create({ model, wasmPaths: WASM });
      found.push(plain(await pose.apply(image, { boxes: inBoxes })));
      await pose.dispose();
    }
    return found;
  },
  /** Why a detector cannot be opened; null where it can. */
  async whyNot(options = {}) {
    const model = "/detector.onnx";
    return failure(async () => {
      await (await Detector.create({ model, wasmPaths: WASM, ...options })).dispose();
    });
  },
  async noEngineFiles() {
    const options = { model: "/model.onnx", wasmPaths: "/nowhere/" };
    return failure(() => PoseEstimator.create(options));
  },
  async faults() {
    const closed = await createImageBitmap(new ImageData(4, 4));
    closed.close();
    return {
      closed: await failure(() => estimator.estimate(closed)),
      empty: await failure(() => estimator.estimate(new Image())),
      text: await failure(() => estimator.estimate(new Blob(["text"]))),
      path: await failure(() => PoseEstimator.create({ model: "/nothing.onnx" })),
      provider: await failure(() =>
        PoseEstimator.create({ model: "/model.onnx", executionProviders: ["abacus"] }),
      ),
    };
  },
  worker(url) {
    const worker = new Worker("/pages/worker.js", { type: "module" });
    return new Promise((done, fail) => {
      worker.onmessage = ({ data }) => done(data);
      worker.onerror = (event) => fail(new Error(event.message));
      worker.postMessage(url);
    });
  },
};
