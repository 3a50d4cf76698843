// Verifies who member-gateway says is asking (RFC 9421, label "member"). Node.js 18 or later, no packages; copy this file.
//
//   import { hmacKey, JwkSet, middleware, verifyRequest } from './member-gateway.mjs';
//
//   const keys = new Map([['2026-11', hmacKey('…base64url, the key in gateway.toml…')]]);   // ids and keys of [identity.signature]
//   const keys = new JwkSet('https://members.example.org/_gateway/keys');                   // or ed25519 and ecdsa
//
//   app.use(middleware(keys, { authority: 'members.example.org' }));                        // Express, Connect, Polka
//   const member = await verifyRequest(request, keys, { authority: 'members.example.org' }); // node:http
//
// The member is request.member, an object such as { 'x-member-id': '400007995-00', … }. Everybody else gets 401, unless
// `anonymous: true`: then whoever carries no signature passes as null, without the identity fields. `verifyRequest` and
// `verify` throw Refused, whose message is the name of the error.
import { createHmac, createPublicKey, timingSafeEqual, verify as verifies } from 'node:crypto';

// The identity fields this app reads, in the order in which the gateway sends them; 'name?' need not be sent.
export const FIELDS = ['x-member-id', 'x-member-unit-id', 'x-member-provider'];
const TOLERANCE = 5; // seconds by which the clocks of gateway and app may differ

const TEXT = '"([ !#-\\[\\]-~]*)"';
const INPUT = new RegExp(`^member=(\\(([^()]*)\\);created=([0-9]{1,15});expires=([0-9]{1,15});nonce=${TEXT};keyid=${TEXT};alg=${TEXT};tag=${TEXT})[ \\t]*(?=,|$)`);
const SIGNATURE = /^member=:([A-Za-z0-9+/]+={0,2}):[ \t]*(?=,|$)/;
const AGAIN = /,[ \t]*member(?![a-z0-9_.*-])/; // a second entry under our label

/** Nobody is signed in as far as this request goes. The message is the name of the error, for your log. */
export class Refused extends Error {}

/** The secret that app and gateway share. */
export function hmacKey(text) {
  const secret = Buffer.from(text, 'base64url');
  if (secret.length < 32) throw new Error('an hmac-sha256 key is at least 32 bytes, base64url');
  return {
    algorithm: 'hmac-sha256',
    verifies(base, signature) {
      const expected = createHmac('sha256', secret).update(base).digest();
      return expected.length === signature.length && timingSafeEqual(expected, signature);
    },
  };
}

/** An ed25519 or P-256 key, from a JWK (RFC 7517). */
export function publicKey(jwk) {
  const algorithm = { 'OKP Ed25519': 'ed25519', 'EC P-256': 'ecdsa-p256-sha256' }[`${jwk.kty} ${jwk.crv}`];
  if (!algorithm) throw new Error('neither an Ed25519 nor a P-256 key');
  const key = createPublicKey({ key: jwk, format: 'jwk' });
  if (algorithm === 'ed25519') return { algorithm, verifies: (base, signature) => verifies(null, base, key, signature) };
  return { algorithm, verifies: (base, signature) => verifies('sha256', base, { key, dsaEncoding: 'ieee-p1363' }, signature) };
}

/** The public keys of a site, fetched when they are needed, again after an hour, and at most once a minute. */
export class JwkSet {
  #url; #keys; #fetched = 0; #tried = -Infinity; #fetching;

  constructor(url, { maxAge = 3600, retry = 60 } = {}) {
    this.#url = new URL(url);
    if (this.#url.protocol !== 'https:' && !['localhost', '127.0.0.1', '[::1]'].includes(this.#url.hostname)) {
      throw new Error('keys come over https, or nobody knows whose they are');
    }
    Object.assign(this, { maxAge, retry });
  }

  async get(keyid, now = Date.now() / 1000) {
    const stale = !this.#keys?.has(keyid) || now >= this.#fetched + this.maxAge;
    if (stale && now >= this.#tried + this.retry) {
      this.#tried = now;
      this.#fetching = this.#fetch(now);
    }
    await this.#fetching;
    if (!this.#keys) throw new Refused('keys-unavailable');
    return this.#keys.get(keyid);
  }

  async #fetch(now) {
    try {
      const answer = await fetch(this.#url, { signal: AbortSignal.timeout(5000) });
      const { keys } = await answer.json();
      const usable = keys.filter(({ kty, crv }) => ['OKP Ed25519', 'EC P-256'].includes(`${kty} ${crv}`));
      this.#keys = new Map(usable.map((jwk) => [jwk.kid, publicKey(jwk)]));
      this.#fetched = now;
    } catch {
      // What is known already stays.
    }
  }
}

/** Remembers the nonces of this process, so that no request is taken twice. Several processes need a common store: a
 *  function of the same arguments that says whether the nonce is new, such as SET NX EXAT in Redis. */
export function nonces() {
  const seen = new Map();
  return (nonce, until, now) => {
    for (const [known, end] of seen) if (end <= now) seen.delete(known);
    return !seen.has(nonce) && Boolean(seen.set(nonce, until));
  };
}

/** The identity fields with their values; throws Refused.
 *
 *  `target` is the raw request target, `fields` are pairs of name and value, `keys` is a Map from ids to keys, or a JwkSet.
 *  `authority` is the Host of this app: needed where one key signs for several sites. `nonces` may be a nonces(). */
export async function verify(method, target, fields, keys, options = {}) {
  const { names = FIELDS, authority, nonces, tolerance = TOLERANCE, now = Date.now() / 1000 } = options;
  const values = new Map();
  for (const [name, value] of fields) {
    const lines = values.get(name.toLowerCase()) ?? [];
    values.set(name.toLowerCase(), [...lines, value.replace(/^[ \t]+|[ \t]+$/g, '')]);
  }
  const joined = (name) => (values.get(name) ?? []).join(', ');
  const [given, signed] = [joined('signature-input'), joined('signature')];
  if (!given.startsWith('member=') || !signed.startsWith('member=')) throw new Refused('no-signature');
  const known = names.map(bare);
  const guarded = new Map([...known, 'signature-input'].map((name) => [folded(name), name]));
  if ([...values.keys()].some((name) => (guarded.get(folded(name)) ?? name) !== name)) throw new Refused('look-alike-field');
  if ([...known, 'host'].some((name) => values.get(name)?.length > 1 || joined(name).includes(','))) throw new Refused('duplicated-field');
  const [entry, value] = [INPUT.exec(given), SIGNATURE.exec(signed)];
  const again = (match, text) => AGAIN.test(text.slice(match[0].length));
  if (!entry || !value || again(entry, given) || again(value, signed)) throw new Refused('malformed-signature');
  const [, parameters, covered, created, expires, nonce, keyid, alg, tag] = entry;
  const signature = Buffer.from(value[1], 'base64');
  if (signature.toString('base64') !== value[1]) throw new Refused('malformed-signature');
  const sent = names.filter((name) => !name.endsWith('?') || values.has(bare(name))).map(bare);
  const components = ['@method', '@authority', '@path', '@query', ...sent].map((name) => `"${name}"`);
  if (covered !== components.join(' ')) throw new Refused('wrong-components');
  const key = await keys.get(keyid, now);
  if (!key) throw new Refused('unknown-key');
  if (alg !== key.algorithm) throw new Refused('wrong-algorithm');
  if (tag !== 'member-gateway') throw new Refused('wrong-tag');
  if (Number(created) > now + tolerance) throw new Refused('not-yet-valid');
  if (Number(expires) + tolerance <= now) throw new Refused('expired');
  const [host, ...member] = ['host', ...sent].map(joined);
  if (!host || member.includes('')) throw new Refused('missing-field');
  const question = target.indexOf('?') < 0 ? target.length : target.indexOf('?');
  const lines = [method, host, target.slice(0, question), target.slice(question) || '?', ...member];
  if (!lines.every((line) => /^[ -~]*$/.test(line))) throw new Refused('malformed-value');
  if (authority !== undefined && host !== authority) throw new Refused('wrong-authority');
  const base = [...lines.map((line, index) => `${components[index]}: ${line}`), `"@signature-params": ${parameters}`].join('\n');
  if (!key.verifies(Buffer.from(base), signature)) throw new Refused('wrong-signature');
  if (nonces && !(await nonces(nonce, Number(expires) + tolerance, now))) throw new Refused('replayed');
  return Object.fromEntries(sent.map((name, index) => [name, member[index]]));
}

/** The same for a request of node:http. Its rawHeaders hold every line; Express shortens `url` below a mounted router. */
export function verifyRequest(request, keys, options) {
  const raw = request.rawHeaders;
  const fields = raw.flatMap((name, index) => (index % 2 ? [] : [[name, raw[index + 1]]]));
  return verify(request.method, request.originalUrl ?? request.url, fields, keys, options);
}

/** Middleware in the form of Connect, which Express takes. */
export function middleware(keys, { anonymous = false, ...options } = {}) {
  return async (request, response, next) => {
    try {
      request.member = await verifyRequest(request, keys, options);
    } catch (error) {
      if (!(error instanceof Refused)) return next(error);
      if (!anonymous || error.message !== 'no-signature') {
        response.writeHead(401, { 'Content-Type': 'text/plain', 'Cache-Control': 'no-store' });
        return response.end(`${error.message}\n`);
      }
      request.member = null;
      const identity = (options.names ?? FIELDS).map((name) => folded(bare(name)));
      for (const name of Object.keys(request.headers)) if (identity.includes(folded(name))) delete request.headers[name];
    }
    next();
  };
}

/** A name without its question mark. */
function bare(name) {
  return name.replace(/\?$/, '');
}

/** A name as CGI and its heirs read it: X_Member.Id is X-Member-Id to them. */
function folded(name) {
  return name.toLowerCase().replace(/[^a-z0-9]/g, '-');
}
