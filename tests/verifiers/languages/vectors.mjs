// The vectors before the verifier in JavaScript: `verify` itself, and the middleware.
import { readFileSync } from 'node:fs';
import nginx from '../../../verify/nginx.js';
import { hmacKey, JwkSet, middleware, nonces, publicKey, Refused, verify } from '../../../verify/member-gateway.mjs';

const file = JSON.parse(readFileSync('tests/data/signature-vectors.json', 'utf8'));
const known = Object.fromEntries(Object.entries(file.keys).map(([label, key]) => [label, key.secret ? hmacKey(key.secret) : publicKey(key.jwk)]));
const mistakes = [];

function settings({ verifier, now }) {
  const options = { now, names: verifier.fields, authority: verifier.authority };
  const remembered = [];
  if (verifier.nonces) {
    const memory = nonces();
    options.nonces = (nonce, until, at) => memory(nonce, until, at) && Boolean(remembered.push(nonce));
    if (!verifier.nonces.every((nonce) => options.nonces(nonce, now + 60, now))) mistakes.push('a nonce was not new');
  }
  return [new Map(verifier.keys.map((label) => [file.keys[label].id, known[label]])), options, remembered];
}

async function compare(how, vector, call) {
  const [keys, options, remembered] = settings(vector);
  const found = await call(keys, options);
  const right = JSON.stringify(sorted(found)) === JSON.stringify(sorted(vector.expected));
  if (!right || (vector.remembered && vector.remembered.join() !== remembered.join())) {
    mistakes.push(`${how}: ${vector.name}: ${JSON.stringify(found)}, ${remembered}`);
  }
}

function sorted(found) {
  return found.member ? Object.entries(found.member).sort() : found;
}

function request(vector) {
  return { method: vector.method, url: '/shortened', originalUrl: vector.target, rawHeaders: vector.fields.flat(), headers: {} };
}

async function through(handler, asked) {
  let answer;
  const response = { writeHead: (status) => { answer = status; }, end: (text) => { answer = [answer, text.trim()]; } };
  await handler(asked, response, (error) => { answer = error ?? 'passed'; });
  return answer;
}

for (const vector of file.vectors) {
  await compare('verify', vector, async (keys, options) => {
    try {
      return { member: await verify(vector.method, vector.target, vector.fields, keys, options) };
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      return { error: error.message };
    }
  });
  await compare('middleware', vector, async (keys, options) => {
    const asked = request(vector);
    const answer = await through(middleware(keys, options), asked);
    return answer === 'passed' ? { member: asked.member } : answer[0] === 401 ? { error: answer[1] } : answer;
  });
}

// nginx verifies with hmac-sha256 alone, the three usual fields, and no memory for nonces.
for (const { name, method, target, fields, verifier, now, expected } of file.vectors) {
  const unusual = verifier.fields || verifier.nonces || verifier.keys.some((label) => file.keys[label].algorithm !== 'hmac-sha256');
  if (unusual) continue;
  const key = (id) => verifier.keys.map((label) => file.keys[label]).find((held) => held.id === id)?.secret;
  const error = nginx.judge(method, target, fields, key, verifier.authority, now);
  if (error !== (expected.error ?? '')) mistakes.push(`nginx: ${name}: ${error}`);
}

// The anonymous pass without the fields they wrote themselves, and with a bad signature nobody does.
const asked = { ...request(file.vectors.find(({ name }) => name.endsWith(': identity fields alone'))), headers: { 'x-member-id': '1', x_member_id: '2', host: 'a' } };
const answer = await through(middleware(new Map(), { anonymous: true }), asked);
if (answer !== 'passed' || asked.member !== null || Object.keys(asked.headers).join() !== 'host') mistakes.push(`anonymous: ${answer}, ${JSON.stringify(asked.headers)}`);
const refused = await through(middleware(new Map(), { anonymous: true }), request(file.vectors[0]));
if (refused[1] !== 'unknown-key') mistakes.push(`an unknown key is answered ${refused}`);

// The keys of a site are fetched once, again for an unknown id after a minute, and again after an hour.
const keys = new JwkSet(process.env.JWK_SET);
const steps = [[0, '2026-11.ed', true], [1, '2026-12.p256', true], [59, '?', false], [60, '?', false], [61, '2026-11.ed', true], [3659, '2026-11.p256', true], [3660, '2026-11.ed', true]];
for (const [seconds, keyid, expected] of steps) {
  if (Boolean(await keys.get(keyid, 1_795_300_000 + seconds)) !== expected) mistakes.push(`JwkSet: ${keyid} after ${seconds} s`);
}
const unavailable = await new JwkSet('http://127.0.0.1:1/').get('?').catch((error) => error.message);
if (unavailable !== 'keys-unavailable') mistakes.push(`JwkSet without a server: ${unavailable}`);

console.log(mistakes.join('\n') || `${file.vectors.length} vectors`);
process.exitCode = mistakes.length ? 1 : 0;
