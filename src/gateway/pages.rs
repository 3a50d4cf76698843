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

/// Nothing but this style sheet, no form, and no frame around any of it.
pub(super) static CONTENT_SECURITY_POLICY: LazyLock<HeaderValue> = LazyLock::new(|| policy(None, NO_FORM));

/// The policy of a page that has a form.
///
/// It leaves `form-action` out: browsers apply it to the redirects that follow a form as well (CSP 3 §6.4.1), and after
/// signing out these lead by way of the site to the vendor's own form. They would end there without a word.
pub(super) static CONTENT_SECURITY_POLICY_WITH_FORM: LazyLock<HeaderValue> =
    LazyLock::new(|| policy(None, ""));

const NO_FORM: &str = " form-action 'none';";

fn policy(script: Option<&str>, form_action: &str) -> HeaderValue {
    let digest = |text: &str| STANDARD.encode(digest::digest(&digest::SHA256, text.as_bytes()));
    let script = script.map(|script| format!(" script-src 'sha256-{}';", digest(script))).unwrap_or_default();
    let policy = format!(
        "default-src 'none';{script} style-src 'sha256-{}';{form_action} base-uri 'none'; frame-ancestors 'none'",
        digest(STYLE),
    );
    HeaderValue::try_from(policy).expect("a policy is ASCII")
}

/// A page with a script of ours; it does without where there is none.
pub(super) struct WithScript {
    pub(super) markup: Markup,
    pub(super) content_security_policy: HeaderValue,
}

fn with_script(site: &str, title: &str, content: &Markup, script: &str, form_action: &str) -> WithScript {
    let content = html! {
        (content)
        script { (PreEscaped(script)) }
    };
    WithScript {
        markup: page(site, title, &content),
        content_security_policy: policy(Some(script), form_action),
    }
}

/// A form whose session has ended: it is kept in the browser while the member signs in.
pub(super) fn keep_form(
    site: &str,
    target: &str,
    sealed: &str,
    login_path: &str,
    login_without: &str,
) -> WithScript {
    const SCRIPT: &str = "\
        const form = document.getElementById('form').dataset;\n\
        try {\n\
          sessionStorage.setItem('member-gateway-form', JSON.stringify({ target: form.target, sealed: form.sealed }));\n\
          location.replace(form.next);\n\
        } catch { document.getElementById('lost').hidden = false; }\n";
    with_script(
        site,
        "Please sign in again.",
        &html! {
            p { "You were signed out before this form was sent. What you have typed is kept and sent once you have signed in." }
            p #lost hidden { "It could not be kept in this browser: please go back and copy it before you sign in." }
            p { a.button href=(login_without) { "Sign in" } }
            noscript { p { "Your browser runs no scripts here, so the form cannot be kept: please copy what you have typed before you sign in." } }
            div #form hidden data-target=(target) data-sealed=(sealed) data-next=(login_path) {}
        },
        SCRIPT,
        NO_FORM,
    )
}

/// Sends the form that was kept, after the login.
pub(super) fn send_form(site: &str, field: &str) -> WithScript {
    const SCRIPT: &str = "\
        const kept = JSON.parse(sessionStorage.getItem('member-gateway-form') || 'null');\n\
        sessionStorage.removeItem('member-gateway-form');\n\
        const form = document.getElementById('form');\n\
        if (kept) { form.action = kept.target; form.elements[0].value = kept.sealed; form.submit(); }\n\
        else { location.replace('/'); }\n";
    with_script(
        site,
        "Your form is being sent.",
        &html! {
            form #form method="post" { input type="hidden" name=(field); }
            p { "If nothing happens, please go back to the page you came from." }
            p { a.button.quiet href="/" { "Go to the front page" } }
        },
        SCRIPT,
        "",
    )
}

/// Takes the fragment of the address along to the login; only the browser knows it.
pub(super) fn keep_fragment(site: &str, login_path: &str) -> WithScript {
    const SCRIPT: &str = "\
        const next = document.getElementById('next').href;\n\
        location.replace(next + encodeURIComponent(location.hash));\n";
    with_script(
        site,
        "Please sign in.",
        &html! {
            p { a.button #next href=(login_path) { "Sign in" } }
        },
        SCRIPT,
        NO_FORM,
    )
}

fn page(site: &str, title: &str, content: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="robots" content="noindex";
                title { (title.trim_end_matches('.')) " · " (site) }
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

/// A refusal: what happened, and what to do. It leads to the front page where that one may well be there.
pub(super) fn refusal(
    site: &str,
    title: &str,
    advice: &str,
    reference: &Reference,
    leads_home: bool,
) -> Markup {
    page(
        site,
        title,
        &html! {
            p { (advice) }
            @if leads_home { (way_home()) }
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
            (way_home())
            (reference_number(reference))
        },
    )
}

/// The error page without a valid reference: nothing is known, so nothing is said.
pub(super) fn nothing_to_tell(site: &str, login_path: &str) -> Markup {
    page(
        site,
        "There is nothing to tell any more.",
        &html! {
            p { "This page tells why a sign-in did not work. What it had to tell is no longer known." }
            p { a.button href=(login_path) { "Sign in" } }
            (way_home())
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

fn way_home() -> Markup {
    html! { p { a.button.quiet href="/" { "Go to the front page" } } }
}

fn reference_number(reference: &Reference) -> Markup {
    html! { p.reference { "Reference number: " strong { (reference) } } }
}
