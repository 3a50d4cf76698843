// Behind the recipe of docs/verify/jwt.md: says of each JWT on standard input whom it names, or why it is refused.
$asked = json_decode(stream_get_contents(STDIN), true);
$keys = [];
foreach ($asked['set']['keys'] as $key) {
    $keys[$key['kid']] = base64_decode(strtr($key['x'], '-_', '+/'));
}
$verdict = function (string $token) use ($keys) {
    try {
        return member($token, $keys)['sub'];
    } catch (Exception $error) {
        return $error->getMessage();
    }
};
echo json_encode(array_map($verdict, $asked['tokens']), JSON_UNESCAPED_SLASHES);
