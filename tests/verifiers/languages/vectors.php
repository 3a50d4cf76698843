<?php
// The vectors before the verifier in PHP: `verify` itself, and a request as $_SERVER describes it.
require 'verify/member_gateway.php';

// Text in the file stands for bytes: each character is one.
function bytes($value)
{
    return is_array($value) ? array_map('bytes', $value) : (is_string($value) ? mb_convert($value) : $value);
}

function mb_convert(string $text): string
{
    return preg_replace_callback('/[\x{80}-\x{ff}]/u', fn ($found) => chr(hexdec(bin2hex($found[0])) & 0x3f | (ord($found[0][0]) & 3) << 6), $text);
}

$file = json_decode(file_get_contents('tests/data/signature-vectors.json'), true);
$known = array_map(fn ($key) => isset($key['secret']) ? MemberGateway::hmac($key['secret']) : MemberGateway::publicKey($key['jwk']), $file['keys']);
$mistakes = [];

function server(array $vector): array
{
    $server = ['REQUEST_METHOD' => $vector['method'], 'REQUEST_URI' => $vector['target'], 'PATH_INFO' => '/decoded'];
    foreach ($vector['fields'] as [$name, $value]) {
        $name = 'HTTP_' . strtr(strtoupper($name), '-', '_');
        $server[$name] = isset($server[$name]) ? "$server[$name], $value" : $value;
    }
    return $server;
}

function compare(string $how, array $vector, array $expected, callable $call): void
{
    global $file, $known, $mistakes;
    $own = $vector['verifier'];
    $keys = [];
    foreach ($own['keys'] as $label) $keys[$file['keys'][$label]['id']] = $known[$label];
    $remembered = $own['nonces'] ?? null;
    $nonces = $remembered === null ? null : function ($nonce, $until, $now) use (&$remembered) {
        if (in_array($nonce, $remembered, true) || $until <= $now) return false;
        $remembered[] = $nonce;
        return true;
    };
    $gateway = new MemberGateway($keys, $own['fields'] ?? MemberGateway::FIELDS, $own['authority'] ?? null, $nonces);
    try {
        $found = ['member' => $call($gateway)];
    } catch (MemberRefused $refused) {
        $found = ['error' => $refused->getMessage()];
    }
    if ($found != $expected || $remembered !== ($vector['remembered'] ?? null)) {
        $mistakes[] = "$how: $vector[name]: " . json_encode([$found, $remembered]);
    }
}

foreach ($file['vectors'] as $vector) {
    $vector = bytes($vector);
    compare('verify', $vector, $vector['expected'], fn ($gateway) => $gateway->verify($vector['method'], $vector['target'], $vector['fields'], $vector['now']));
    compare('$_SERVER', $vector, $vector['folded'] ?? $vector['expected'], fn ($gateway) => $gateway->verifyServer(server($vector), $vector['now']));
}

// Without the raw path nothing is guessed.
try {
    (new MemberGateway([]))->verifyServer(array_diff_key(server($file['vectors'][0]), ['REQUEST_URI' => 0]));
    $mistakes[] = 'a server without REQUEST_URI';
} catch (RuntimeException $error) {
    if (!str_starts_with($error->getMessage(), 'no-raw-target: ')) $mistakes[] = $error->getMessage();
}

// The anonymous pass without the fields they wrote themselves.
[$unsigned] = array_values(array_filter($file['vectors'], fn ($vector) => str_ends_with($vector['name'], ': identity fields alone')));
$_SERVER = server($unsigned);
if ((new MemberGateway([]))->memberOrNull() !== null || isset($_SERVER['HTTP_X_MEMBER_ID'])) $mistakes[] = 'the anonymous keep what they wrote';

// The keys of a site are fetched once, again for an unknown id after a minute, and again after an hour.
$folder = getenv('FOLDER');
$steps = [[0, '2026-11.ed', true], [1, '2026-12.p256', true], [59, '?', false], [60, '?', false], [61, '2026-11.ed', true], [3659, '2026-11.p256', true], [3660, '2026-11.ed', true]];
foreach ($steps as [$seconds, $keyid, $expected]) {
    $keys = new MemberGatewayKeys(getenv('JWK_SET'), $folder);
    if (($keys->get($keyid, 1_795_300_000 + $seconds) !== null) !== $expected) $mistakes[] = "MemberGatewayKeys: $keyid after $seconds s";
}
try {
    (new MemberGatewayKeys('http://127.0.0.1:1/', $folder))->get('?', 1_795_300_000);
    $mistakes[] = 'MemberGatewayKeys without a server';
} catch (MemberRefused $refused) {
    if ($refused->getMessage() !== 'keys-unavailable') $mistakes[] = $refused->getMessage();
}

echo $mistakes ? implode("\n", $mistakes) : count($file['vectors']) . ' vectors', "\n";
exit($mistakes ? 1 : 0);
