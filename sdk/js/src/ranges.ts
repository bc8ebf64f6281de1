import { RtmposeError } from "./errors.js";

/** Refuses what is not a number of that range; undefined is allowed. */
export function checkNumber(name: string, value: unknown, low: number, high = Infinity): void {
  if (value === undefined) return;
  if (typeof value !== "number" || !(value >= low && value <= high)) {
    const range = high === Infinity ? `from ${low}` : `from ${low} to ${high}`;
    throw new RtmposeError("argument", `${name} is a number ${range}, not ${String(value)}`);
  }
}

/** Refuses what is not a whole number of that range; undefined is allowed. */
export function checkWhole(name: string, value: unknown, low: number): void {
  checkNumber(name, value, low);
  if (value !== undefined && !Number.isInteger(value)) {
    throw new RtmposeError("argument", `${name} is a whole number, not ${String(value)}`);
  }
}

/** Refuses `new Class(...)` of programs without types. */
export function checkMade(byCreate: boolean, name: string): void {
  if (byCreate) return;
  throw new RtmposeError("argument", `use await ${name}.create(...), not new ${name}(...)`);
}

/** Refuses names that are no option: a misspelt one would be ignored in silence. */
export function checkNames(options: object, known: readonly string[]): void {
  const unknown = Object.keys(options).find((name) => !known.includes(name));
  if (unknown !== undefined) {
    const text = `there is no option ${unknown}; there are: ${known.join(", ")}`;
    throw new RtmposeError("argument", text);
  }
}
