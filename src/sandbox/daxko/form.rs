//! The pages a browser sees: the log-in form and the page that says why there is none.

use http::{Response, StatusCode};
use maud::{Markup, html};
use url::form_urlencoded;

use super::authorize::PICK;
use super::generation::Generation;
use super::members;
use super::parameters::Parameters;
use super::settings::Links;
use crate::sandbox::pages;
use crate::sandbox::server::{self, Body};

/// The vendor's own way to a new password, which the form of partners-v1 shows in place of a link that is not saved.
pub(super) const FORGOT_PASSWORD: &str = "/partners/forgot_password";

/// What the form shows.
pub(super) struct Form<'a> {
    pub(super) generation: Generation,
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
    let sign_up = form.links.sign_up.destination();
    let forgot_password = form.links.forgot_password.destination().or(match form.generation {
        Generation::V3 => None,
        Generation::PartnersV1 => Some(FORGOT_PASSWORD),
    });
    let content = html! {
        h1 { "Log in" }
        p { "A club that does not exist (client " (form.client) ")" }
        @if form.refused {
            p.problem role="alert" { "User name and password do not match. Please try again." }
        }
        form method="post" action=(form.generation.form_path()) {
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
        @if sign_up.is_some() || forgot_password.is_some() {
            p.links {
                @if let Some(url) = sign_up { a href=(url) { "Create an account" } }
                @if let Some(url) = forgot_password { a href=(url) { "Forgot your password?" } }
            }
        }
        section aria-labelledby="others" {
            h2 #others { "Sample members" }
            p { "Choose one to have the form filled in." }
            ul {
                @for member in members::of_client(form.client) {
                    li {
                        a href=(picking(form, member.member_id))
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

/// What [`FORGOT_PASSWORD`] says.
pub(super) fn forgot_password() -> Response<Body> {
    let content = html! {
        h1 { "Forgot your password?" }
        p { "This is where the vendor’s own pages help a member to a new password. The log-in ends here: nobody comes \
             back to the site with a code." }
    };
    server::page(StatusCode::OK, layout("Forgot your password?", &content))
}

/// What the authorization request brought, without what the form asks for itself.
fn carried(parameters: &Parameters) -> impl Iterator<Item = (&str, &str)> {
    parameters.iter().filter(|(name, _)| !["username", "password", PICK].contains(name))
}

/// The same request, with another member in the form.
fn picking(form: &Form<'_>, member_id: &str) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(carried(form.parameters)).append_pair(PICK, member_id);
    format!("{}?{}", form.generation.form_path(), query.finish())
}

fn layout(title: &str, content: &Markup) -> Markup {
    pages::layout("Daxko", title, content)
}
