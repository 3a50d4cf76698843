//! The pages a browser sees: log-in, sign-up, consent, the store, and the page that says why a log-in cannot start.

use http::{Response, StatusCode};
use maud::{Markup, html};

use super::account::{Person, SAMPLES};
use super::authorize::{Trusted, carried, query_of};
use crate::sandbox::pages;
use crate::sandbox::parameters::Parameters;
use crate::sandbox::server::{self, Body};

/// What the sign-up form shows again after it was refused.
#[derive(Default)]
pub(super) struct SignUp<'a> {
    pub(super) name: &'a str,
    pub(super) email: &'a str,
    pub(super) country_code: &'a str,
    pub(super) phone: &'a str,
    pub(super) problem: Option<&'static str>,
}

/// The log-in form. After a failure it has status 200 as well: the browser stays where it is.
pub(super) fn log_in(parameters: &Parameters, email: &str, password: &str, refused: bool) -> Response<Body> {
    let content = html! {
        h1 { "Log in" }
        p { "to your rewards" }
        @if refused {
            p.problem role="alert" { "E-mail address and password do not match. Please try again." }
        }
        form method="post" action="/chef/login" {
            (hidden(parameters))
            label for="email" { "E-mail address" }
            input #email name="email" type="email" value=(email) autocomplete="username" autocapitalize="none"
                spellcheck="false" required;
            label for="password" { "Password" }
            input #password name="password" type="password" value=(password) autocomplete="current-password"
                required;
            button type="submit" { "Log in" }
        }
        p.links { a href={ "/chef/signup?" (query_of(parameters, None)) } { "Sign up" } }
        section aria-labelledby="others" {
            h2 #others { "Sample accounts" }
            p { "Choose one to have the form filled in." }
            ul {
                @for (place, sample) in SAMPLES.iter().enumerate() {
                    li {
                        a href={ "/chef/v1/oauth/authorize?" (query_of(parameters, Some(place))) }
                            aria-current=[(sample.email == email).then_some("true")] {
                            span { (sample.first_name) " " (sample.last_name) }
                            small { (sample.email) @if sample.member_id.is_none() { ", unknown to Daxko" } }
                        }
                    }
                }
            }
        }
    };
    server::page(StatusCode::OK, layout("Log in", &content))
}

/// The sign-up form.
pub(super) fn sign_up(parameters: &Parameters, form: &SignUp<'_>) -> Response<Body> {
    let content = html! {
        h1 { "Sign up" }
        p { "The account lives in the memory of this sandbox and ends with it." }
        @if let Some(problem) = form.problem {
            p.problem role="alert" { (problem) }
        }
        form method="post" action="/chef/signup" {
            (hidden(parameters))
            label for="name" { "Name" }
            input #name name="name" value=(form.name) autocomplete="name" required;
            label for="email" { "E-mail address" }
            input #email name="email" type="email" value=(form.email) autocomplete="email" autocapitalize="none"
                spellcheck="false" required;
            label for="country_code" { "Country code, for example +1" }
            input #country_code name="country_code" type="tel" value=(form.country_code)
                autocomplete="tel-country-code" required;
            label for="phone" { "Phone number" }
            input #phone name="phone" type="tel" value=(form.phone) autocomplete="tel-national" required;
            label for="password" { "Password" }
            input #password name="password" type="password" autocomplete="new-password" required;
            button type="submit" { "Sign up" }
        }
        p.links { a href={ "/chef/v1/oauth/authorize?" (query_of(parameters, None)) } { "Log in instead" } }
    };
    server::page(StatusCode::OK, layout("Sign up", &content))
}

/// The form for the one-time code, and the code itself where it was just made.
pub(super) fn one_time_code(
    parameters: &Parameters,
    key: &str,
    code: Option<&str>,
    refused: bool,
) -> Response<Body> {
    let content = html! {
        h1 { "Enter your code" }
        @if let Some(code) = code {
            p { "Xoxoday would send a message now. The sandbox sends none and tells you here: your code is "
                strong #code { (code) } "." }
        }
        @if refused {
            p.problem role="alert" { "This is not the code. Please try again, or sign up anew." }
        }
        form method="post" action="/chef/signup/verify" {
            (hidden(parameters))
            input type="hidden" name="sign_up" value=(key);
            label for="otp" { "One-time code" }
            input #otp name="otp" inputmode="numeric" autocomplete="one-time-code" required;
            button type="submit" { "Go on" }
        }
        p.links { a href={ "/chef/signup?" (query_of(parameters, None)) } { "Sign up anew" } }
    };
    server::page(StatusCode::OK, layout("Enter your code", &content))
}

/// Allow or Deny.
pub(super) fn consent(
    parameters: &Parameters,
    company: &str,
    person: &Person,
    trusted: &Trusted,
) -> Response<Body> {
    let content = html! {
        h1 { "Allow access?" }
        p { (company) " wants to know who you are." }
        p { "You are logged in as " strong { (person.email) } "." }
        h2 { "What it asks for" }
        ul.plain {
            @for scope in &trusted.scopes {
                li { code { (scope) } }
            }
        }
        form method="post" action="/chef/consent" {
            (hidden(parameters))
            button type="submit" name="decision" value="allow" { "Allow" }
            button.quiet type="submit" name="decision" value="deny" { "Deny" }
        }
        form method="post" action="/chef/logout" {
            (hidden(parameters))
            button.link type="submit" { "Log out at the sandbox" }
        }
    };
    server::page(StatusCode::OK, layout("Allow access?", &content))
}

/// Who arrived at the store.
pub(super) fn store(person: &Person, unique_id: Option<&str>) -> Response<Body> {
    let content = html! {
        h1 { "The rewards store" }
        p { "You arrived as " strong { (person.email) } "." }
        @if let Some(id) = unique_id {
            p { "Your site calls you " strong { (id) } "." }
        }
        p { "There is nothing to buy in the sandbox." }
    };
    server::page(StatusCode::OK, layout("The rewards store", &content))
}

/// Why a page is not shown.
pub(super) fn refusal(rule: &str, advice: &str) -> Response<Body> {
    let content = html! {
        h1 { "This cannot go on" }
        p.problem #rule { (rule) }
        p #advice { (advice) }
    };
    server::page(StatusCode::BAD_REQUEST, layout("This cannot go on", &content))
}

/// The authorization request, as a form carries it.
fn hidden(parameters: &Parameters) -> Markup {
    html! {
        @for (name, value) in carried(parameters) {
            input type="hidden" name=(name) value=(value);
        }
    }
}

fn layout(title: &str, content: &Markup) -> Markup {
    pages::layout("Xoxoday", title, content)
}
