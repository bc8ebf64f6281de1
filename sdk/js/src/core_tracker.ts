/** The tracker of the C++ core, call by call; see rtmpose_core.h. */
import type { CoreMemory, Detections } from "./core_memory.js";
import type { Poses } from "./people.js";
import { PARAMS_SIZE, type TrackerParams, writeParams } from "./tracker_params.js";

/** Boxes in which poses are wanted. */
export interface Wanted {
  /** `(N * 4)`. */
  boxes: Float32Array;
  /** Which of the found boxes each is; -1 for somebody who is followed. */
  sources: Int32Array;
}

/** People with ids, in the order of the ids. */
export interface TrackedPoses extends Poses {
  ids: number[];
}

/** A tracker of poses that are computed elsewhere. */
export class CoreTracker {
  readonly #core: CoreMemory;
  readonly #handle: number;

  /**
   * @param skeleton Name of a published keypoint set, or one of one's own as JSON; empty for the
   *   published set of so many keypoints.
   * @param oneStage Whether the people of whole frames come with their poses.
   */
  constructor(
    core: CoreMemory,
    skeleton: string,
    keypoints: number,
    oneStage: boolean,
    params: Partial<TrackerParams>,
  ) {
    this.#core = core;
    this.#handle = core.scratch((room) => {
      const settings = room.room(PARAMS_SIZE);
      core.calls["rtmpose_tracker_params_init"](settings, PARAMS_SIZE);
      writeParams(core.view(), settings, params);
      const name = room.text(skeleton || null);
      const args = [name, keypoints, Number(oneStage), settings];
      return core.made((out) => core.calls["rtmpose_tracker_create_bare"](...args, out));
    });
  }

  /** Lowest score that boxes need to be of use: doubtful ones count where somebody is expected. */
  get lowestScore(): number {
    return this.#core.calls["rtmpose_tracker_lowest_score"](this.#handle);
  }

  createStream(): CoreStream {
    const { calls } = this.#core;
    const made = this.#core.made((out) => calls["rtmpose_stream_create"](this.#handle, out));
    return new CoreStream(this.#core, made);
  }

  destroy(): void {
    this.#core.calls["rtmpose_tracker_destroy"](this.#handle);
  }
}

/** What a tracker remembers of one video. */
export class CoreStream {
  readonly #core: CoreMemory;
  readonly #handle: number;

  constructor(core: CoreMemory, handle: number) {
    this.#core = core;
    this.#handle = handle;
  }

  destroy(): void {
    this.#core.calls["rtmpose_stream_destroy"](this.#handle);
  }

  reset(): void {
    this.#core.check(this.#core.calls["rtmpose_stream_reset"](this.#handle));
  }

  wantsDetection(): boolean {
    return this.#core.calls["rtmpose_stream_wants_detection"](this.#handle) === 1;
  }

  /**
   * First half of a frame.
   *
   * @param found What was found; null where nobody was looked for. Without labels all are people.
   */
  begin(width: number, height: number, timeS: number, found: FoundBoxes | null): Wanted {
    const core = this.#core;
    const wanted = core.scratch((room) => {
      // Memory of no size has an address, too: nobody found is another thing than not looked for.
      const boxes = found ? room.floats(found.boxes) : 0;
      const scores = found ? room.floats(found.scores) : 0;
      const labels = found?.labels ? room.integers(found.labels) : 0;
      const count = found ? found.boxes.length / 4 : 0;
      const args = [this.#handle, width, height, timeS, boxes, scores, labels, count];
      return core.made((out) => core.calls["rtmpose_stream_begin"](...args, out));
    });
    const { boxes, labels } = core.takeDetections(wanted);
    return { boxes, sources: labels };
  }

  /** Second half of a frame: the poses in the wanted boxes. */
  finish(keypoints: Float32Array, scores: Float32Array, count: number): TrackedPoses {
    const core = this.#core;
    const poses = core.scratch((room) => {
      const args = [this.#handle, room.floats(keypoints), room.floats(scores), count];
      return core.made((out) => core.calls["rtmpose_stream_finish"](...args, out));
    });
    return core.takePoses(poses);
  }
}

/** Boxes for a tracker. */
export interface FoundBoxes extends Pick<Detections, "boxes" | "scores"> {
  labels?: Int32Array;
}
