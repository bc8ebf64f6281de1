/** The messages of protobuf, as far as ONNX files need them. */

/** A part with a length, or a number. */
export type Value = Uint8Array | number;

const ENTRY = { key: 1, value: 2 };
const decoder = new TextDecoder();

/** A part; empty where there is none. */
export function bytesOf(value: Value | undefined): Uint8Array {
  return typeof value === "object" ? value : new Uint8Array(0);
}

/** A part as text. */
export function textOf(value: Value | undefined): string {
  return decoder.decode(bytesOf(value));
}

/** The last of each field. */
export function fieldMap(message: Uint8Array): Map<number, Value> {
  const map = new Map<number, Value>();
  for (const [field, value] of fields(message)) map.set(field, value);
  return map;
}

/** The fields of a message: the number, the value, and all bytes of the field. */
export function* fields(bytes: Uint8Array): Generator<[number, Value, Uint8Array]> {
  let at = 0;

  // Lengths reach past 32 bits in big files, so no bit operators.
  const varint = (): number => {
    let value = 0;
    for (let factor = 1; factor < 2 ** 70; factor *= 128) {
      if (at >= bytes.length) throw new RangeError("a number reaches past the end");
      const byte = bytes[at++];
      value += (byte % 128) * factor;
      if (byte < 128) return value;
    }
    throw new RangeError("a number has too many bytes");
  };

  while (at < bytes.length) {
    const start = at;
    const tag = varint();
    const field = Math.floor(tag / 8);
    const wire = tag % 8;
    if (wire === 0) {
      const value = varint();
      yield [field, value, bytes.subarray(start, at)];
      continue;
    }
    const fixed: Record<number, number> = { 1: 8, 5: 4 };
    const length = wire === 2 ? varint() : fixed[wire];
    if (length === undefined) throw new RangeError(`wire type ${wire}`);
    if (at + length > bytes.length) throw new RangeError("a field reaches past the end");
    const value = bytes.subarray(at, at + length);
    at += length;
    yield [field, value, bytes.subarray(start, at)];
  }
}

/** The texts of a message's entries, which are pairs of a key and a value, by their keys. */
export function textEntries(message: Uint8Array, number: number): Map<string, string> {
  const entries = new Map<string, string>();
  for (const [field, value] of fields(message)) {
    if (field !== number) continue;
    const entry = fieldMap(bytesOf(value));
    entries.set(textOf(entry.get(ENTRY.key)), textOf(entry.get(ENTRY.value)));
  }
  return entries;
}
