//! What the pages say in English, and what programs are told whatever they ask for.

use super::{Explanation, Texts};

pub(super) static TEXTS: Texts = Texts {
    sign_in_page: "Sign-in",
    sign_in: "Sign in",
    sign_in_again: "Sign in again",
    another_way: "Sign in another way",
    try_again: "Try again",
    front_page: "Go to the front page",
    reference_number: "Reference number:",
    contact: "Contact:",

    choose: "How would you like to sign in?",
    last_choice: "Last time you used this one",

    sign_out_title: "Would you like to sign out?",
    sign_out: "Sign out",
    stay: "Stay signed in",
    signed_out_here: Explanation::new(
        "You are signed out here.",
        "The other servers of this site could not be told yet; they will be. Whoever has a copy of your session could use it there until then, and at the latest until this time:",
    ),

    form_kept: Explanation::new(
        "Please sign in again.",
        "You were signed out before this form was sent. What you have typed is kept and sent once you have signed in.",
    ),
    form_not_storable: "It could not be kept in this browser: please go back and copy it before you sign in.",
    form_needs_script: "Your browser runs no scripts here, so the form cannot be kept: please copy what you have typed before you sign in.",
    form_sent: Explanation::new(
        "Your form is being sent.",
        "If nothing happens, please go back to the page you came from.",
    ),
    fragment_kept: "Please sign in.",

    nothing_to_tell: Explanation::new(
        "There is nothing to tell any more.",
        "This page tells why a sign-in did not work. What it had to tell is no longer known.",
    ),
    stale: Explanation::new(
        "This sign-in is no longer valid.",
        "It took too long, was used already, or was started in another browser. Nothing is lost: please sign in again.",
    ),
    malformed: Explanation::new(
        "This sign-in did not come back as it should.",
        "Please sign in again. If you came by a link or a bookmark, please use the site's own pages instead.",
    ),
    access_denied: Explanation::new(
        "You were not signed in.",
        "Access was refused when you signed in. If you did not mean to refuse it, please sign in again.",
    ),
    no_identity: Explanation::new(
        "Your membership could not be read.",
        "You have signed in, but your membership number did not come with it. Please tell the people who run this site.",
    ),
    not_in_directory: Explanation::new(
        "You are not known here as a member.",
        "You have signed in, but the address you signed in with is not in the list of members. Please ask the people who run this site to add it.",
    ),
    ambiguous_in_directory: Explanation::new(
        "It is not clear which member you are.",
        "You have signed in, but the address you signed in with belongs to several members. Please ask the people who run this site to give each of them an address of their own.",
    ),
    lapsed: Explanation::new(
        "Your membership is not active.",
        "You have signed in, but your membership has ended or is on hold. The people who run this site can tell you how to renew it.",
    ),
    looping: Explanation {
        title: "Signing in goes round in circles.",
        advice: "You were sent to sign in five times within a minute. These are the usual reasons:",
        points: &[
            "Your browser does not keep the cookies of this site, or keeps an old one of the same name from a neighbouring site. Please allow the cookies of this site and delete those that are there.",
            "The date or the time of your device is wrong. Please set its clock.",
            "The site sends you back to sign in although you have just done so. The people who run it can mend that: please tell them, with the reference number below.",
        ],
    },
    vendor_refuses: Explanation::new(
        "Sign-in is not set up correctly.",
        "This is not your mistake. Please tell the people who run this site, with the reference number below.",
    ),
    vendor_broken: Explanation::new(
        "Sign-in did not work.",
        "The sign-in service gave an answer that makes no sense. Please try again in a few minutes.",
    ),
    vendor_away: Explanation::new(
        "Sign-in is not available at the moment.",
        "The sign-in service is not answering. Please try again in a few minutes.",
    ),

    target_too_long: Explanation::new(
        "This address is too long.",
        "Please go back and follow the link again.",
    ),
    too_many_cookies: Explanation::new(
        "Your browser sends too many cookies.",
        "Please delete the cookies of this site in your browser, and open the page again.",
    ),
    target_not_ascii: Explanation::new(
        "This address is not well formed.",
        "Please check the link; letters beyond A to Z have to be percent-encoded in an address.",
    ),
    ambiguous_path: Explanation::new(
        "This address is not clear.",
        "Please check the link: its path can be read in several ways that are treated differently.",
    ),
    unknown_expectation: Explanation::new(
        "The request expects something that is not offered here.",
        "Only “Expect: 100-continue” is understood.",
    ),
    method_not_served: Explanation::new(
        "This method is not served here.",
        "CONNECT, TRACE and methods that are not in capitals are not passed on.",
    ),
    going_in_circles: Explanation::new(
        "This request goes in circles.",
        "To the people who run this site: an `upstream` of the gateway leads back to the gateway itself.",
    ),
    method_not_allowed: Explanation::new(
        "This address does not take that method.",
        "Please go back and try again.",
    ),
    no_such_endpoint: Explanation::new(
        "There is no page at this address.",
        "Please check the link, or start from the front page.",
    ),
    denied: Explanation::new(
        "This page is not open to anybody.",
        "If you need it, please ask the people who run this site.",
    ),
    not_admitted: Explanation::new(
        "This page is not open to your membership.",
        "You are signed in, but this page is for other members. If you think that you should see it, please ask the people who run this site.",
    ),
    cannot_be_named: Explanation::new(
        "The app behind this site cannot be told who you are.",
        "You are signed in, but your member number has a form that this app does not understand. Please tell the people who run this site.",
    ),
    membership_unknown: Explanation::new(
        "Your membership cannot be checked at the moment.",
        "The service that knows it is not answering. Nothing is lost: please try again in a few minutes.",
    ),
    revocations_unknown: Explanation::new(
        "This page cannot be shown at the moment.",
        "It is not known whether you are still signed in. Nothing is lost: please try again in a minute.",
    ),
    untrusted_proxy: Explanation::new(
        "This question is not answered here.",
        "To the people who run this site: only a proxy in `trusted_proxies` may ask about the requests of others.",
    ),
    unclear_question: Explanation::new(
        "It is not clear which request is meant.",
        "To the people who run this site: the proxy in front has to say once each, and alike, X-Forwarded-Method, -Proto, -Host and -Uri, or X-Original-Method and X-Original-URL.",
    ),
    own_path_asked_about: Explanation::new(
        "This address belongs to the gateway.",
        "To the people who run this site: the proxy in front has to pass everything below /_gateway/ to the gateway, without asking it first.",
    ),
    foreign_origin: Explanation::new(
        "Another site may not connect here.",
        "The people who run this site can allow an origin in a rule of their gateway.",
    ),
    foreign_form: Explanation::new(
        "You are still signed in.",
        "Another site tried to sign you out. You can do that on this one.",
    ),
    too_many_sign_ins: Explanation::new(
        "There are too many sign-ins from your network.",
        "Please wait a minute, then try again.",
    ),
    form_not_kept: Explanation::new(
        "Your form could not be sent again.",
        "It was kept for too long while you signed in, or belongs to another page. Please fill it in once more.",
    ),
    no_site_named: Explanation::new(
        "The request does not say which site it is for.",
        "It has to name one host, and a well-formed one.",
    ),
    unknown_site: Explanation::new(
        "There is no such site here.",
        "Please check the address. To the people who run this site: the host has to be that of a public_url in the configuration of the gateway.",
    ),
    unasked_upgrade: Explanation::new(
        "The site gave an answer that makes no sense.",
        "Please try again in a moment. If it stays like this, please tell the people who run this site.",
    ),
    upstream_away: Explanation::new(
        "The site is not answering at the moment.",
        "Please try again in a moment. If it stays like this, please tell the people who run this site.",
    ),
    upstream_full: Explanation::new(
        "So many people are using this site that it cannot keep up.",
        "Please wait a few seconds, then try again.",
    ),
    upstream_silent: Explanation::new(
        "The site is taking too long to answer.",
        "Please try again in a moment. If it stays like this, please tell the people who run this site.",
    ),
    request_broken_off: Explanation::new(
        "What you sent did not arrive completely.",
        "Please go back and send it again.",
    ),
};
