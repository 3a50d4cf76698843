<?php
// A page in the manner of WordPress, which asks its plugins who is there. The plugin is one that WordPress itself would take.
//
//   MEMBER_GATEWAY_SIGNING_KEY=… MEMBER_GATEWAY_SIGNING_KEY_ID=2026-11 MEMBER_GATEWAY_SITE=members.example.org \
//       php -S 127.0.0.1:3000 index.php

function add_filter(string $hook, callable $filter): void
{
    $GLOBALS['filters'][$hook][] = $filter;
}

function apply_filters(string $hook, mixed $value): mixed
{
    foreach ($GLOBALS['filters'][$hook] ?? [] as $filter) $value = $filter($value);
    return $value;
}

// What WordPress looks up in its table of users; here everybody has an account.
function get_user_by(string $field, string $value): object
{
    return (object) ['ID' => crc32($value), 'user_login' => $value];
}

require __DIR__ . '/mu-plugins/member-gateway.php';

header('Content-Type: text/plain; charset=utf-8');
$user = apply_filters('determine_current_user', false);
if ($user !== false) {
    $member = $GLOBALS['member_gateway_member'];
    echo "member {$member['x-member-id']} of unit {$member['x-member-unit-id']} ({$member['x-member-provider']}), user $user\n";
} elseif (str_starts_with($_SERVER['REQUEST_URI'], '/public/')) {
    echo "the schedule, for everybody\n";
} else {
    http_response_code(401);
    echo "members only\n";
}
