/** Models whose weights lie in a second file. */

/** Moves the weights of an ONNX file into another, whose name the model gets. */
export function withWeightsOutside(file, name) {
  const weights = [];
  let size = 0;
  const graph = (message) =>
    changed(message, 5, (tensor) => {
      const raw = [...fields(tensor)].find(([field]) => field === 9)?.[1];
      if (!raw) return tensor;
      const entries = { location: name, offset: String(size), length: String(raw.length) };
      weights.push(raw);
      size += raw.length;
      const pairs = Object.entries(entries).map(([key, value]) =>
        part(13, Buffer.concat([part(1, Buffer.from(key)), part(2, Buffer.from(value))])),
      );
      const others = [...fields(tensor)].filter(([field]) => field !== 9);
      const kept = others.map(([, , whole]) => whole);
      return Buffer.concat([...kept, ...pairs, Buffer.from([14 * 8, 1])]);
    });
  return { model: new Uint8Array(changed(file, 7, graph)), weights: Buffer.concat(weights) };
}

function changed(message, number, change) {
  const pieces = [...fields(message)].map(([field, value, whole]) =>
    field === number ? part(number, change(value)) : whole,
  );
  return Buffer.concat(pieces);
}

function* fields(message) {
  let at = 0;
  const varint = () => {
    let value = 0;
    for (let factor = 1; ; factor *= 128) {
      const byte = message[at++];
      value += (byte % 128) * factor;
      if (byte < 128) return value;
    }
  };
  while (at < message.length) {
    const start = at;
    const tag = varint();
    const length = { 0: 0, 1: 8, 5: 4 }[tag % 8] ?? varint();
    if (tag % 8 === 0) varint();
    const from = at;
    at += length;
    yield [Math.floor(tag / 8), message.subarray(from, at), message.subarray(start, at)];
  }
}

function part(field, value) {
  return Buffer.concat([varint(field * 8 + 2), varint(value.length), value]);
}

function varint(value) {
  const bytes = [];
  for (; value >= 128; value = Math.floor(value / 128)) bytes.push((value % 128) + 128);
  return Buffer.from([...bytes, value]);
}
