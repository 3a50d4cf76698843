//! Pages: what a member sees of the gateway, when there is anything to see.
//!
//! Plain words, one thing to do, no script. The style sheet stands in the page and is allowed by its digest.

use std::sync::LazyLock;

use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::failure::Reference;

const STYLE: &str = include_str!("pages.css");

/// Nothing but this style sheet, forms to this site, and no frame around any of it.
pub(super) static CONTENT_SECURITY_POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let digest = STANDARD.encode(digest::digest(&digest::SHA256, STYLE.as_bytes()));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{digest}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    );
    HeaderValue::try_from(policy).expect("a policy is ASCII")
});

fn page(site: &str, title: &str, content: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="robots" content="noindex";
                title { (title) " · " (site) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                main {
                    p.site { (site) }
                    h1 { (title) }
                    (content)
                }
            }
        }
    }
}

/// A refusal: what happened, and what to do.
pub(super) fn refusal(site: &str, title: &str, advice: &str, reference: &Reference) -> Markup {
    page(
        site,
        title,
        &html! {
            p { (advice) }
            (reference_number(reference))
        },
    )
}

/// A login that failed; it starts again when the member says so, and only then.
pub(super) fn login_failed(
    site: &str,
    title: &str,
    advice: &str,
    reference: &Reference,
    login_path: &str,
) -> Markup {
    page(
        site,
        title,
        &html! {
            p { (advice) }
            p { a.button href=(login_path) { "Sign in again" } }
            p { a.button.quiet href="/" { "Go to the front page" } }
            (reference_number(reference))
        },
    )
}

/// The error page without a valid reference: nothing is known, so nothing is said.
pub(super) fn nothing_to_tell(site: &str, login_path: &str) -> Markup {
    page(
        site,
        "There is nothing to see here.",
        &html! {
            p { "This page tells why a sign-in did not work. What it had to tell is no longer known." }
            p { a.button href=(login_path) { "Sign in" } }
            p { a.button.quiet href="/" { "Go to the front page" } }
        },
    )
}

/// One of several ways to sign in: its title, and where it starts.
pub(super) struct Choice {
    pub(super) title: String,
    pub(super) login_path: String,
}

/// The chooser page.
pub(super) fn chooser(site: &str, choices: &[Choice]) -> Markup {
    page(
        site,
        "How would you like to sign in?",
        &html! {
            ul {
                @for choice in choices {
                    li { a.button href=(choice.login_path) { (choice.title) } }
                }
            }
        },
    )
}

/// The sign-out page: one button, so that no link and no image can sign anybody out.
pub(super) fn logout(site: &str, return_to: &str) -> Markup {
    page(
        site,
        "Would you like to sign out?",
        &html! {
            form method="post" action="/_gateway/logout" {
                input type="hidden" name="return_to" value=(return_to);
                p { button.button type="submit" { "Sign out" } }
            }
            p { a.button.quiet href=(return_to) { "Stay signed in" } }
        },
    )
}

fn reference_number(reference: &Reference) -> Markup {
    html! { p.reference { "Reference number: " strong { (reference) } } }
}
