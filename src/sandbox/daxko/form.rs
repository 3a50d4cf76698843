//! The pages a browser sees: the log-in form and the page that says why there is none.
//!
//! They work without script, by keyboard, on a telephone, and say in plain words that they are not Daxko's.

use http::{Response, StatusCode};
use maud::{DOCTYPE, Markup, html};
use url::form_urlencoded;

use super::authorize::PICK;
use super::members;
use super::parameters::Parameters;
use super::settings::Links;
use crate::sandbox::server::{self, Body};

/// What the form shows.
pub(super) struct Form<'a> {
    /// What it carries along.
    pub(super) parameters: &'a Parameters,
    pub(super) client: u64,
    pub(super) links: &'a Links,
    pub(super) username: &'a str,
    pub(super) password: &'a str,
    /// Whether it comes back after a log-in that failed.
    pub(super) refused: bool,
}

/// The log-in form. After a failure it has status 200 as well: the browser stays where it is.
pub(super) fn log_in(form: &Form<'_>) -> Response<Body> {
    let content = html! {
        h1 { "Log in" }
        p { "A club that does not exist (client " (form.client) ")" }
        @if form.refused {
            p.problem role="alert" { "User name and password do not match. Please try again." }
        }
        form method="post" action="/online/auth" {
            @for (name, value) in carried(form.parameters) {
                input type="hidden" name=(name) value=(value);
            }
            label for="username" { "User name" }
            input #username name="username" value=(form.username) autocomplete="username" autocapitalize="none"
                spellcheck="false" required;
            label for="password" { "Password" }
            input #password name="password" type="password" value=(form.password)
                autocomplete="current-password" required;
            button type="submit" { "Log in" }
        }
        @if !(form.links.sign_up.url.trim().is_empty() && form.links.forgot_password.url.trim().is_empty()) {
            p.links {
                @if !form.links.sign_up.url.trim().is_empty() {
                    a href=(form.links.sign_up.url) { "Create an account" }
                }
                @if !form.links.forgot_password.url.trim().is_empty() {
                    a href=(form.links.forgot_password.url) { "Forgot your password?" }
                }
            }
        }
        section aria-labelledby="others" {
            h2 #others { "Sample members" }
            p { "Choose one to have the form filled in." }
            ul {
                @for member in members::of_client(form.client) {
                    li {
                        a href=(picking(form.parameters, member.member_id))
                            aria-current=[(member.username == form.username).then_some("true")] {
                            span { (member.first_name) @if let Some(name) = member.last_name { " " (name) } }
                            small { (member.member_id) @if !member.active { ", membership lapsed" } }
                        }
                    }
                }
            }
        }
    };
    server::page(StatusCode::OK, layout("Log in", &content))
}

/// Why there is no form.
pub(super) fn refusal(rule: &str, advice: &str) -> Response<Body> {
    let content = html! {
        h1 { "This log-in cannot start" }
        p.problem #rule { (rule) }
        p #advice { (advice) }
    };
    server::page(StatusCode::BAD_REQUEST, layout("This log-in cannot start", &content))
}

/// What the authorization request brought, without what the form asks for itself.
fn carried(parameters: &Parameters) -> impl Iterator<Item = (&str, &str)> {
    parameters.iter().filter(|(name, _)| !["username", "password", PICK].contains(name))
}

/// The same request, with another member in the form.
fn picking(parameters: &Parameters, member_id: &str) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(carried(parameters)).append_pair(PICK, member_id);
    format!("/online/auth?{}", query.finish())
}

fn layout(title: &str, content: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · Daxko sandbox" }
                link rel="stylesheet" href="/sandbox/style.css";
            }
            body {
                header { p { strong { "Sandbox." } " This is a simulation, not Daxko. Type no real password here." } }
                main { (content) }
            }
        }
    }
}
