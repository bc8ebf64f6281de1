// Runs the model in the browser, beside the page. Messages: {n, kind, ...} in, {n, result} or
// {n, error} out.

let sdk = null;
let estimator = null;
let tracker = null;

const HANDLERS = {
  async open({ assets }) {
    const kind = (await hasGpu()) ? "webgpu" : "wasm";
    const engine = assets.engines[kind];
    const ort = await import(engine);
    sdk = await import(assets.sdk);
    estimator = await sdk.PoseEstimator.create({
      ort,
      model: assets.model,
      executionProviders: kind === "webgpu" ? ["webgpu", "wasm"] : ["wasm"],
      wasmPaths: engine.slice(0, engine.lastIndexOf("/") + 1),
      // The page has the thresholds, so that they can change.
      boxThr: 0,
    });
    const { provider, fallback, modelId, skeleton } = estimator;
    return { kind, provider, fallback, model: modelId, keypoints: skeleton.keypoints };
  },

  async photo({ picture }) {
    const people = await estimator.estimate(picture);
    picture.close();
    return people.map(plain);
  },

  // People of a stream get ids of their own, from 1.
  async begin({ thresholds }) {
    const { box_thr, person_thr, max_people } = thresholds;
    const options = { estimator, personThr: person_thr };
    if (box_thr !== undefined) options.detThr = box_thr;
    if (max_people !== undefined) options.poseMaxNumBboxes = max_people;
    await tracker?.dispose();
    tracker = await sdk.PoseTracker.create(options);
  },

  async frame({ picture, timeS }) {
    const people = await tracker.track(picture, { timeS });
    picture.close();
    return people.map(plain);
  },
};

// ONNX Runtime passes over a WebGPU without hardware in silence: the page should say what runs.
async function hasGpu() {
  try {
    return (await navigator.gpu?.requestAdapter()) != null;
  } catch {
    return false;
  }
}

function plain({ id, box, boxScore, score, keypoints, scores }) {
  const points = Array.from(scores, (s, k) => [keypoints[2 * k], keypoints[2 * k + 1], s]);
  const [x1, y1, x2, y2] = box;
  const bbox = [x1, y1, x2 - x1, y2 - y1];
  return { id: id ?? null, bbox, score, box_score: boxScore, keypoints: points };
}

onmessage = async ({ data: { n, kind, ...rest } }) => {
  try {
    postMessage({ n, result: await HANDLERS[kind](rest) });
  } catch (error) {
    postMessage({ n, error: String(error?.message ?? error) });
  }
};
