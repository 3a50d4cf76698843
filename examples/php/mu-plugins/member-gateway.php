<?php
/*
Plugin Name: Sign-in by member-gateway
Description: Whoever the gateway has signed in is signed in here. Put it into wp-content/mu-plugins, beside member_gateway.php.
*/

require_once is_file(__DIR__ . '/member_gateway.php') ? __DIR__ . '/member_gateway.php' : __DIR__ . '/../../../verify/member_gateway.php';

// The account whose name is provider and member id: an id is unique only together with its provider.
add_filter('determine_current_user', function ($user) {
    $keys = [getenv('MEMBER_GATEWAY_SIGNING_KEY_ID') => MemberGateway::hmac(getenv('MEMBER_GATEWAY_SIGNING_KEY'))];
    $member = (new MemberGateway($keys, authority: getenv('MEMBER_GATEWAY_SITE')))->memberOrNull();
    if ($member === null) return $user;
    $GLOBALS['member_gateway_member'] = $member;
    $account = get_user_by('login', "{$member['x-member-provider']} {$member['x-member-id']}");
    return $account ? $account->ID : $user;
});
