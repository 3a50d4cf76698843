// Verifies who member-gateway says is asking: RFC 9421, label "member", algorithm hmac-sha256.
//
// Import `verify` into your app. Run as a program, this file is a small app of its own that answers with what it found:
//   PORT=3000 MEMBER_GATEWAY_SIGNING_KEY=... MEMBER_GATEWAY_SIGNING_KEY_ID=2026-11 node verify.mjs
import { createHmac, timingSafeEqual } from 'node:crypto';
import { createServer } from 'node:http';
import { pathToFileURL } from 'node:url';

const FIELDS = ['x-member-id', 'x-member-unit-id', 'x-member-provider']; // what this app relies on: its list, not the message's
const COVERED = ['@method', '@authority', '@path', '@query', ...FIELDS].map((name) => `"${name}"`).join(' ');
const SKEW = 5; // seconds by which the gateway's clock may be ahead of ours
const INPUT = /^member=(\(([^()]*)\);created=([0-9]{1,15});expires=([0-9]{1,15});nonce="[^"\\]*";keyid="([^"\\]*)";alg="([^"\\]*)";tag="([^"\\]*)")[ \t]*(?:,(?!(?:.*,)?[ \t]*member=).*)?$/;
const SIGNATURE = /^member=:([A-Za-z0-9+/]+={0,2}):[ \t]*(?:,(?!(?:.*,)?[ \t]*member=).*)?$/;

// `request` is a node:http request (Express and its like hand it on), `keys` a Map from key id to the secret's bytes.
// Returns { id, unitId, provider } or { reason }: nobody is signed in as far as this request goes.
export function verify(request, keys, now = Date.now() / 1000) {
  const field = (name) => request.headersDistinct[name]?.join(', '); // request.headers would drop a second Host
  const [input, signature] = [field('signature-input'), field('signature')];
  if (input === undefined || signature === undefined) return { reason: 'no-signature' };
  const [entry, value] = [INPUT.exec(input), SIGNATURE.exec(signature)];
  if (!entry || !value) return { reason: 'malformed-signature' };
  const [, parameters, covered, created, expires, keyid, alg, tag] = entry;
  if (covered !== COVERED) return { reason: 'wrong-components' };
  if (alg !== 'hmac-sha256') return { reason: 'wrong-algorithm' };
  if (!keys.has(keyid)) return { reason: 'unknown-key' };
  if (tag !== 'member-gateway') return { reason: 'wrong-tag' };
  if (Number(created) > now + SKEW) return { reason: 'not-yet-valid' };
  if (Number(expires) <= now) return { reason: 'expired' };
  const [host, ...member] = ['host', ...FIELDS].map(field);
  if ([host, ...member].includes(undefined)) return { reason: 'missing-field' };
  const target = request.originalUrl ?? request.url; // Express shortens request.url below a mounted router
  const query = target.indexOf('?') < 0 ? target.length : target.indexOf('?');
  const values = [request.method, host, target.slice(0, query), target.slice(query) || '?', ...member];
  const lines = covered.split(' ').map((name, index) => `${name}: ${values[index]}`);
  const base = Buffer.from([...lines, `"@signature-params": ${parameters}`].join('\n'), 'latin1');
  const expected = Buffer.from(createHmac('sha256', keys.get(keyid)).update(base).digest('base64'));
  const received = Buffer.from(value[1]);
  if (expected.length !== received.length || !timingSafeEqual(expected, received)) return { reason: 'wrong-signature' };
  return { id: member[0], unitId: member[1], provider: member[2] };
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const key = Buffer.from(process.env.MEMBER_GATEWAY_SIGNING_KEY ?? '', 'base64url');
  if (key.length < 32) throw new Error('MEMBER_GATEWAY_SIGNING_KEY must be at least 32 bytes, base64url');
  const keys = new Map([[process.env.MEMBER_GATEWAY_SIGNING_KEY_ID ?? '2026-11', key]]);
  createServer((request, response) => {
    const member = verify(request, keys);
    response.writeHead(member.reason ? 401 : 200, { 'Content-Type': 'text/plain; charset=utf-8' });
    response.end(member.reason ? `${member.reason}\n` : `member ${member.id} of unit ${member.unitId} (${member.provider})\n`);
  }).listen(Number(process.env.PORT), '127.0.0.1');
}
