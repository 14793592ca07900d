// Read what tmap/page/packing.py writes: deflated, in base64, numbers by bytes.

async function inflate(text) {
  const raw = atob(text);
  const bytes = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) bytes[i] = raw.charCodeAt(i);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

async function unpackTexts(text) {
  return JSON.parse(new TextDecoder().decode(await inflate(text)));
}

async function unpackFloats(text) {
  const bytes = await inflate(text), n = bytes.length / 3;
  const bits = new Uint32Array(n);
  for (let i = 0; i < n; i++) bits[i] = (bytes[i] << 24) | (bytes[n + i] << 16) | (bytes[2 * n + i] << 8);
  return new Float32Array(bits.buffer);
}

async function unpackIntegers(text) {
  const bytes = await inflate(text), n = bytes.length / 4;
  const found = new Uint32Array(n);
  for (let i = 0; i < n; i++) found[i] = (bytes[i] << 24) | (bytes[n + i] << 16) | (bytes[2 * n + i] << 8) | bytes[3 * n + i];
  return found;
}

async function unpackBits(text, n) {
  const bytes = await inflate(text);
  const found = new Uint8Array(n);
  for (let i = 0; i < n; i++) found[i] = (bytes[i >> 3] >> (i & 7)) & 1;
  return found;
}
