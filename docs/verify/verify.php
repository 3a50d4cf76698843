<?php
// Verifies who member-gateway says is asking: RFC 9421, label "member", algorithm hmac-sha256.
//
// Require this file from your app and call verify_member. Served by itself it is a small page that says what it found:
//   MEMBER_GATEWAY_SIGNING_KEY=... MEMBER_GATEWAY_SIGNING_KEY_ID=2026-11 php -S 127.0.0.1:3000 verify.php
//
// PHP knows X-Member-Id and X_Member_Id by one name, HTTP_X_MEMBER_ID, and cannot tell which of them it was given. Nothing
// here could repair that: the gateway removes every look-alike that a client sends.

const MEMBER_FIELDS = ['x-member-id', 'x-member-unit-id', 'x-member-provider']; // what this app relies on: its list, not the message's
const MEMBER_SKEW = 5; // seconds by which the gateway's clock may be ahead of ours
const MEMBER_INPUT = '/^member=(\(([^()]*)\);created=([0-9]{1,15});expires=([0-9]{1,15});nonce="[^"\\\\]*";keyid="([^"\\\\]*)"'
    . ';alg="([^"\\\\]*)";tag="([^"\\\\]*)")[ \t]*(?:,(?!(?:.*,)?[ \t]*member=).*)?$/D';
const MEMBER_SIGNATURE = '~^member=:([A-Za-z0-9+/]+={0,2}):[ \t]*(?:,(?!(?:.*,)?[ \t]*member=).*)?$~D';

/** The three identity values, or a reason (a string): nobody is signed in as far as this request goes.
 *  $server is $_SERVER, $keys maps a key id to the secret's bytes. */
function verify_member(array $server, array $keys, int $now): array|string
{
    $field = fn (string $name): ?string => $server['HTTP_' . strtr(strtoupper($name), '-', '_')] ?? null;
    if ($field('signature-input') === null || $field('signature') === null) return 'no-signature';
    if (!preg_match(MEMBER_INPUT, trim($field('signature-input'), " \t"), $entry)) return 'malformed-signature';
    if (!preg_match(MEMBER_SIGNATURE, trim($field('signature'), " \t"), $signature)) return 'malformed-signature';
    [, $parameters, $covered, $created, $expires, $keyid, $alg, $tag] = $entry;
    $names = array_map(fn ($name) => "\"$name\"", ['@method', '@authority', '@path', '@query', ...MEMBER_FIELDS]);
    if ($covered !== implode(' ', $names)) return 'wrong-components';
    if ($alg !== 'hmac-sha256') return 'wrong-algorithm';
    if (!isset($keys[$keyid])) return 'unknown-key';
    if ($tag !== 'member-gateway') return 'wrong-tag';
    if ((int) $created > $now + MEMBER_SKEW) return 'not-yet-valid';
    if ((int) $expires <= $now) return 'expired';
    $received = array_map($field, ['host', ...MEMBER_FIELDS]);
    if (in_array(null, $received, true)) return 'missing-field';
    [$host, $member] = [trim($received[0], " \t"), array_map(fn ($value) => trim($value, " \t"), array_slice($received, 1))];
    [$path, $query] = explode('?', $server['REQUEST_URI'], 2) + [1 => '']; // raw; never PATH_INFO or $_GET, which are decoded
    $values = [$server['REQUEST_METHOD'], $host, $path, "?$query", ...$member];
    $lines = array_map(fn ($name, $value) => "$name: $value", $names, $values);
    $base = implode("\n", [...$lines, "\"@signature-params\": $parameters"]);
    $expected = base64_encode(hash_hmac('sha256', $base, $keys[$keyid], true));
    return hash_equals($expected, $signature[1]) ? $member : 'wrong-signature';
}

if (get_included_files() === [__FILE__]) {
    $key = base64_decode(strtr((string) getenv('MEMBER_GATEWAY_SIGNING_KEY'), '-_', '+/'), true);
    if ($key === false || strlen($key) < 32) {
        http_response_code(500);
        exit("MEMBER_GATEWAY_SIGNING_KEY must be at least 32 bytes, base64url\n");
    }
    $member = verify_member($_SERVER, [getenv('MEMBER_GATEWAY_SIGNING_KEY_ID') ?: '2026-11' => $key], time());
    header('Content-Type: text/plain; charset=utf-8');
    http_response_code(is_array($member) ? 200 : 401);
    echo is_array($member) ? vsprintf("member %s of unit %s (%s)\n", $member) : "$member\n";
}
