// Verifies who member-gateway says is asking (RFC 9421, label "member"), in nginx with njs 0.7 or later, for an app behind it
// that cannot. Keys of hmac-sha256; the three usual identity fields, each of which has to be there.
//
//   js_import member from /etc/nginx/member_gateway.js;      # in http
//   js_set $member_error member.error;
//
//   set $member_key_2026_11 …;                               # in server or location; keep that file to root
//   set $member_authority members.example.org;
//   if ($member_error) { return 401 "$member_error\n"; }
//
// The variable is empty where the signature holds, and the name of the error otherwise. `keyid` 2026-11 is looked for in
// $member_key_2026_11. Everything that is not verified here must reach the app by no other way.
import crypto from 'crypto';

const FIELDS = ['x-member-id', 'x-member-unit-id', 'x-member-provider'];
const TOLERANCE = 5; // seconds by which the clocks of gateway and nginx may differ

const TEXT = '"([ !#-\\[\\]-~]*)"';
const INPUT = new RegExp('^member=(\\(([^()]*)\\);created=([0-9]{1,15});expires=([0-9]{1,15});nonce=' + TEXT + ';keyid=' + TEXT
  + ';alg=' + TEXT + ';tag=' + TEXT + ')[ \\t]*(?:,|$)');
const SIGNATURE = /^member=:([A-Za-z0-9+\/]+={0,2}):[ \t]*(?:,|$)/;
const AGAIN = /,[ \t]*member(?![a-z0-9_.*-])/; // a second entry under our label

function error(r) {
  const key = (id) => (/^[A-Za-z0-9.:_-]{1,64}$/.test(id) ? r.variables['member_key_' + id.toLowerCase().replace(/[^a-z0-9]/g, '_')] : undefined);
  return judge(r.method, r.variables.request_uri, r.rawHeadersIn, key, r.variables.member_authority, Math.floor(Date.now() / 1000));
}

// The name of the error, or nothing. `key` gives the secret of an id, base64url.
function judge(method, target, fields, key, authority, now) {
  const values = {};
  fields.forEach((field) => {
    const name = 'field ' + field[0].toLowerCase();
    values[name] = (values[name] || []).concat([field[1].replace(/^[ \t]+|[ \t]+$/g, '')]);
  });
  const joined = (name) => (values['field ' + name] || []).join(', ');
  const given = joined('signature-input');
  const signed = joined('signature');
  if (!given.startsWith('member=') || !signed.startsWith('member=')) return 'no-signature';
  const ours = FIELDS.concat(['signature-input']);
  const names = Object.keys(values).map((name) => name.slice(6));
  if (names.some((name) => !ours.includes(name) && ours.includes(name.replace(/[^a-z0-9]/g, '-')))) return 'look-alike-field';
  const twice = (name) => (values['field ' + name] || []).length > 1 || joined(name).includes(',');
  if (FIELDS.concat(['host']).some(twice)) return 'duplicated-field';
  const entry = INPUT.exec(given);
  const match = SIGNATURE.exec(signed);
  if (!entry || !match || AGAIN.test(given.slice(7 + entry[1].length)) || AGAIN.test(signed.slice(9 + match[1].length))) return 'malformed-signature';
  const signature = Buffer.from(match[1], 'base64');
  if (signature.toString('base64') !== match[1]) return 'malformed-signature';
  const components = ['@method', '@authority', '@path', '@query'].concat(FIELDS).map((name) => '"' + name + '"');
  if (entry[2] !== components.join(' ')) return 'wrong-components';
  const secret = key(entry[6]);
  if (!secret) return 'unknown-key';
  if (entry[7] !== 'hmac-sha256') return 'wrong-algorithm';
  if (entry[8] !== 'member-gateway') return 'wrong-tag';
  if (Number(entry[3]) > now + TOLERANCE) return 'not-yet-valid';
  if (Number(entry[4]) + TOLERANCE <= now) return 'expired';
  const host = joined('host');
  const member = FIELDS.map(joined);
  if (!host || member.includes('')) return 'missing-field';
  const question = target.indexOf('?') < 0 ? target.length : target.indexOf('?');
  const lines = [method, host, target.slice(0, question), target.slice(question) || '?'].concat(member);
  if (!lines.every((line) => /^[ -~]*$/.test(line))) return 'malformed-value';
  if (authority && host !== authority) return 'wrong-authority';
  const base = lines.map((line, index) => components[index] + ': ' + line + '\n').join('') + '"@signature-params": ' + entry[1];
  const mac = (text, of) => crypto.createHmac('sha256', of).update(text).digest('base64');
  const bytes = Buffer.from(secret, 'base64url');
  // njs compares in no constant time; what is compared is the MAC of a MAC, which tells a forger nothing.
  return mac(mac(base, bytes), bytes) === mac(match[1], bytes) ? '' : 'wrong-signature';
}

export default { error, judge };
