<?php
// Verifies who member-gateway says is asking (RFC 9421, label "member"). PHP 8.0 or later, no packages; copy this file.
//
//   require 'member_gateway.php';
//
//   $keys = ['2026-11' => MemberGateway::hmac('…base64url, the key in gateway.toml…')];   // ids and keys of [identity.signature]
//   $keys = new MemberGatewayKeys('https://members.example.org/_gateway/keys', '/var/cache/app');   // or ed25519 and ecdsa
//
//   $gateway = new MemberGateway($keys, authority: 'members.example.org');
//   $member = $gateway->member();              // ['x-member-id' => '400007995-00', …], or 401 and the script ends
//   $member = $gateway->memberOrNull();        // the same for public pages: null without a signature, 401 with a bad one
//
// `verify` and `verifyServer` throw MemberRefused, whose message is the name of the error. PHP knows X-Member-Id and
// X_Member_Id by one name, HTTP_X_MEMBER_ID; the signature is over the value, whatever it was called.

/** Nobody is signed in as far as this request goes. The message is the name of the error, for your log. */
class MemberRefused extends Exception
{
}

class MemberGateway
{
    /** The identity fields this app reads, in the order in which the gateway sends them; 'name?' need not be sent. */
    const FIELDS = ['x-member-id', 'x-member-unit-id', 'x-member-provider'];

    private const INPUT = '/^member=(\(([^()]*)\);created=([0-9]{1,15});expires=([0-9]{1,15});nonce="([ !#-\[\]-~]*)"'
        . ';keyid="([ !#-\[\]-~]*)";alg="([ !#-\[\]-~]*)";tag="([ !#-\[\]-~]*)")[ \t]*(?=,|\z)/';
    private const SIGNATURE = '~^member=:([A-Za-z0-9+/]+={0,2}):[ \t]*(?=,|\z)~';
    private const AGAIN = '/,[ \t]*member(?![a-z0-9_.*-])/'; // a second entry under our label

    /** @param array|MemberGatewayKeys $keys  ids and keys
     *  @param ?string $authority  the Host of this app: needed where one key signs for several sites
     *  @param ?callable $nonces  function (string $nonce, int $until, int $now): bool, whether the nonce is new; with APCu:
     *                            fn ($nonce, $until, $now) => apcu_add("member-gateway $nonce", 1, $until - $now)
     *  @param int $tolerance  seconds by which the clocks of gateway and app may differ */
    public function __construct(
        private $keys,
        private array $names = self::FIELDS,
        private ?string $authority = null,
        private $nonces = null,
        private int $tolerance = 5,
    ) {
    }

    /** The secret that app and gateway share. */
    public static function hmac(string $text): array
    {
        $secret = self::unbase64url($text);
        if (strlen($secret) < 32) throw new InvalidArgumentException('an hmac-sha256 key is at least 32 bytes, base64url');
        $verifies = fn ($base, $signature) => hash_equals(hash_hmac('sha256', $base, $secret, true), $signature);
        return ['algorithm' => 'hmac-sha256', 'verifies' => $verifies];
    }

    /** An ed25519 or P-256 key, from a JWK (RFC 7517); null where it is neither. */
    public static function publicKey(array $jwk): ?array
    {
        [$x, $y] = [self::unbase64url($jwk['x'] ?? ''), self::unbase64url($jwk['y'] ?? '')];
        $kind = ($jwk['kty'] ?? '') . ' ' . ($jwk['crv'] ?? '');
        if ($kind === 'OKP Ed25519' && strlen($x) === 32) {
            $verifies = fn ($base, $signature) => strlen($signature) === 64 && sodium_crypto_sign_verify_detached($signature, $base, $x);
            return ['algorithm' => 'ed25519', 'verifies' => $verifies];
        }
        if ($kind === 'EC P-256' && strlen($x . $y) === 64) {
            // SubjectPublicKeyInfo (RFC 5480 section 2): what stands before the point never changes.
            $der = hex2bin('3059301306072a8648ce3d020106082a8648ce3d030107034200') . "\x04$x$y";
            $pem = "-----BEGIN PUBLIC KEY-----\n" . chunk_split(base64_encode($der), 64, "\n") . "-----END PUBLIC KEY-----\n";
            $verifies = fn ($base, $signature) => strlen($signature) === 64
                && openssl_verify($base, self::der($signature), $pem, OPENSSL_ALGO_SHA256) === 1;
            return ['algorithm' => 'ecdsa-p256-sha256', 'verifies' => $verifies];
        }
        return null;
    }

    /** The member, or 401 and the end of the script. */
    public function member(): array
    {
        try {
            return $this->verifyServer($_SERVER);
        } catch (MemberRefused $refused) {
            self::refuse($refused);
        }
    }

    /** The member, or null where there is no signature; the identity fields are gone then. A bad signature: 401. */
    public function memberOrNull(): ?array
    {
        try {
            return $this->verifyServer($_SERVER);
        } catch (MemberRefused $refused) {
            if ($refused->getMessage() !== 'no-signature') self::refuse($refused);
            $identity = array_map(fn ($name) => self::folded(rtrim($name, '?')), $this->names);
            foreach (array_keys($_SERVER) as $name) {
                if (str_starts_with($name, 'HTTP_') && in_array(self::folded(substr($name, 5)), $identity, true)) unset($_SERVER[$name]);
            }
            return null;
        }
    }

    /** Verifies a request as $_SERVER describes it. */
    public function verifyServer(array $server, ?int $now = null): array
    {
        $target = $server['UNENCODED_URL'] ?? $server['REQUEST_URI'] ?? null; // the first on IIS, which rewrites the second
        if ($target === null) {
            throw new RuntimeException('no-raw-target: this server does not give REQUEST_URI. Everything else is decoded, and the '
                . 'signature is over the raw path. With nginx: fastcgi_param REQUEST_URI $request_uri;');
        }
        $fields = [];
        foreach ($server as $name => $value) {
            if (str_starts_with($name, 'HTTP_')) $fields[] = [strtr(substr($name, 5), '_', '-'), $value];
        }
        return $this->verify($server['REQUEST_METHOD'], $target, $fields, $now);
    }

    /** The identity fields with their values. $target is the raw request target, $fields are pairs of name and value. */
    public function verify(string $method, string $target, array $fields, ?int $now = null): array
    {
        $now ??= time();
        $values = [];
        foreach ($fields as [$name, $value]) $values[strtolower($name)][] = trim($value, " \t");
        $joined = fn ($name) => implode(', ', $values[$name] ?? []);
        [$given, $signed] = [$joined('signature-input'), $joined('signature')];
        if (!str_starts_with($given, 'member=') || !str_starts_with($signed, 'member=')) throw new MemberRefused('no-signature');
        $known = array_map(fn ($name) => rtrim($name, '?'), $this->names);
        foreach (array_keys($values) as $name) {
            foreach ([...$known, 'signature-input'] as $ours) {
                if ((string) $name !== $ours && self::folded((string) $name) === self::folded($ours)) throw new MemberRefused('look-alike-field');
            }
        }
        foreach ([...$known, 'host'] as $name) {
            if (count($values[$name] ?? []) > 1 || str_contains($joined($name), ',')) throw new MemberRefused('duplicated-field');
        }
        if (!preg_match(self::INPUT, $given, $entry) || preg_match(self::AGAIN, substr($given, strlen($entry[0])))
            || !preg_match(self::SIGNATURE, $signed, $match) || preg_match(self::AGAIN, substr($signed, strlen($match[0])))) {
            throw new MemberRefused('malformed-signature');
        }
        [, $parameters, $covered, $created, $expires, $nonce, $keyid, $alg, $tag] = $entry;
        $signature = base64_decode($match[1], true);
        if ($signature === false || base64_encode($signature) !== $match[1]) throw new MemberRefused('malformed-signature');
        $sent = array_filter($this->names, fn ($name) => !str_ends_with($name, '?') || isset($values[rtrim($name, '?')]));
        $sent = array_map(fn ($name) => rtrim($name, '?'), array_values($sent));
        $components = array_map(fn ($name) => "\"$name\"", ['@method', '@authority', '@path', '@query', ...$sent]);
        if ($covered !== implode(' ', $components)) throw new MemberRefused('wrong-components');
        $key = is_array($this->keys) ? $this->keys[$keyid] ?? null : $this->keys->get($keyid, $now);
        if ($key === null) throw new MemberRefused('unknown-key');
        if ($alg !== $key['algorithm']) throw new MemberRefused('wrong-algorithm');
        if ($tag !== 'member-gateway') throw new MemberRefused('wrong-tag');
        if ((int) $created > $now + $this->tolerance) throw new MemberRefused('not-yet-valid');
        if ((int) $expires + $this->tolerance <= $now) throw new MemberRefused('expired');
        $host = $joined('host');
        $member = array_map($joined, $sent);
        if ($host === '' || in_array('', $member, true)) throw new MemberRefused('missing-field');
        [$path, $query] = explode('?', $target, 2) + [1 => ''];
        $lines = [$method, $host, $path, "?$query", ...$member];
        foreach ($lines as $line) {
            if (!preg_match('/^[ -~]*\z/', $line)) throw new MemberRefused('malformed-value');
        }
        if ($this->authority !== null && $host !== $this->authority) throw new MemberRefused('wrong-authority');
        $lines = array_map(fn ($component, $line) => "$component: $line", $components, $lines);
        $base = implode("\n", [...$lines, "\"@signature-params\": $parameters"]);
        if (!$key['verifies']($base, $signature)) throw new MemberRefused('wrong-signature');
        if ($this->nonces !== null && !($this->nonces)($nonce, (int) $expires + $this->tolerance, $now)) throw new MemberRefused('replayed');
        return array_combine($sent, $member);
    }

    private static function refuse(MemberRefused $refused): never
    {
        http_response_code(401);
        header('Content-Type: text/plain');
        header('Cache-Control: no-store');
        exit($refused->getMessage() . "\n");
    }

    /** A name as CGI and its heirs read it: X_Member.Id is X-Member-Id to them. */
    private static function folded(string $name): string
    {
        return preg_replace('/[^a-z0-9]/', '-', strtolower($name));
    }

    /** The two numbers of an ECDSA signature as OpenSSL takes them (RFC 3279 section 2.2.3). */
    private static function der(string $signature): string
    {
        $integer = function (string $number): string {
            $number = ltrim($number, "\0");
            if ($number === '' || ord($number[0]) >= 0x80) $number = "\0$number";
            return "\x02" . chr(strlen($number)) . $number;
        };
        $numbers = $integer(substr($signature, 0, 32)) . $integer(substr($signature, 32));
        return "\x30" . chr(strlen($numbers)) . $numbers;
    }

    private static function unbase64url(string $text): string
    {
        return (string) base64_decode(strtr($text, '-_', '+/'), true);
    }
}

/** The public keys of a site, fetched when they are needed, again after an hour, and at most once a minute. PHP forgets
 *  everything between two requests, so they are kept in a file; only this app may be able to write into its folder. */
class MemberGatewayKeys
{
    public function __construct(private string $url, private string $folder, private int $maxAge = 3600, private int $retry = 60)
    {
        if (!preg_match('~^(https://|http://(localhost|127\.0\.0\.1|\[::1\])[:/])~', $url)) {
            throw new InvalidArgumentException('keys come over https, or nobody knows whose they are');
        }
    }

    public function get(string $keyid, int $now): ?array
    {
        $file = $this->folder . '/member-gateway-' . hash('sha256', $this->url) . '.json';
        $cache = json_decode((string) @file_get_contents($file), true) ?? ['keys' => null, 'fetched' => 0, 'tried' => 0];
        $find = fn (array $jwk) => ($jwk['kid'] ?? null) === $keyid && MemberGateway::publicKey($jwk) !== null;
        $found = array_values(array_filter($cache['keys'] ?? [], $find));
        if ((!$found || $now >= $cache['fetched'] + $this->maxAge) && $now >= $cache['tried'] + $this->retry) {
            $cache['tried'] = $now;
            $context = stream_context_create(['http' => ['timeout' => 5]]);
            $set = json_decode((string) @file_get_contents($this->url, false, $context), true);
            // What is known already stays where nothing came.
            if (is_array($set['keys'] ?? null)) [$cache['keys'], $cache['fetched']] = [$set['keys'], $now];
            $new = tempnam($this->folder, 'member-gateway-');
            if ($new === false || file_put_contents($new, json_encode($cache)) === false || !rename($new, $file)) {
                throw new RuntimeException("the keys of the gateway cannot be kept in $this->folder");
            }
            $found = array_values(array_filter($cache['keys'] ?? [], $find));
        }
        if ($cache['keys'] === null) throw new MemberRefused('keys-unavailable');
        return $found ? MemberGateway::publicKey($found[0]) : null;
    }
}
