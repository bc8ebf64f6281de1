import { RtmposeError } from "./errors.js";

/** What every call on images takes. */
export interface CallOptions {
  /**
   * Gives a call up: its promise rejects at once with the signal's reason, an `AbortError`. A call
   * that waits for its turn is left out; of one that is under way only the result is lost.
   */
  signal?: AbortSignal | undefined;
}

/** Runs tasks one after the other, in the order they came: sessions take one call at a time. */
export class Queue {
  #last: Promise<unknown> = Promise.resolve();

  run<T>(task: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    const result = this.#last.then(() => {
      signal?.throwIfAborted();
      return task();
    });
    this.#last = result.catch(() => undefined);
    return signal ? unlessAborted(result, signal) : result;
  }
}

/** Refuses what is no `AbortSignal`, of whatever window; undefined is allowed. */
export function checkSignal(signal: unknown): void {
  if (signal === undefined) return;
  const { aborted, addEventListener } = (signal ?? {}) as Partial<AbortSignal>;
  if (typeof aborted === "boolean" && typeof addEventListener === "function") return;
  throw new RtmposeError("argument", "signal is an AbortSignal, such as new AbortController().signal");
}

function unlessAborted<T>(result: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = (): void => reject(signal.reason);
    if (signal.aborted) stop();
    signal.addEventListener("abort", stop, { once: true });
    const forget = (): void => signal.removeEventListener("abort", stop);
    result.then(resolve, reject).finally(forget);
  });
}
