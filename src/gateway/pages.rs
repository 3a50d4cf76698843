//! Pages: what a member sees of the gateway, when there is anything to see.
//!
//! Plain words in the reader's language, one thing to do, no script that is needed to sign in. The style sheet stands in
//! the page and is allowed by its digest, and so is a script where there is one. Why a page is shown is left to others.

use std::sync::LazyLock;

use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::branding::{Branding, Localized, Logo, Text, contact_link};
use super::failure::Reference;
use super::language::Language;
use super::templates::Templates;
use super::texts::{Explanation, Texts};

/// The style sheet, as far as it does not depend on the operator's colour.
pub(super) const STYLE: &str = include_str!("pages.css");
/// Where the sign-out form goes.
pub(super) const SIGN_OUT: &str = "/_gateway/logout";

/// The pages of requests that belong to no site.
pub(super) static NOWHERE: LazyLock<Pages> =
    LazyLock::new(|| Pages::new(Branding::named(String::new()), None));

/// The pages of one site.
#[derive(Debug)]
pub struct Pages {
    branding: Branding,
    templates: Option<Templates>,
    style: String,
    style_digest: String,
}

/// What there is to say.
#[derive(Clone, Copy)]
pub(super) enum Page<'a> {
    /// Several ways to sign in.
    Chooser(&'a [Choice<'a>]),
    /// One button, so that no link and no image can sign anybody out.
    SignOut {
        /// Where to go afterwards.
        return_to: &'a str,
    },
    /// Something did not work.
    Trouble(Trouble<'a>),
    /// A form whose session has ended: it is kept in the browser while the member signs in.
    KeepForm {
        /// Where it was going.
        target: &'a str,
        /// What is kept.
        sealed: &'a str,
        /// The login that comes back for the form.
        login_path: &'a str,
        /// The login without it.
        login_without: &'a str,
    },
    /// Sends the form that was kept, after the login.
    SendForm {
        /// The name of its one field.
        field: &'a str,
    },
    /// Takes the fragment of the address along to the login; only the browser knows it.
    KeepFragment {
        /// That login.
        login_path: &'a str,
    },
}

/// One of several ways to sign in.
#[derive(Clone, Copy)]
pub(super) struct Choice<'a> {
    pub(super) title: &'a str,
    /// Where it starts.
    pub(super) login_path: &'a str,
    pub(super) logo: Option<&'a Logo>,
    /// It was chosen the last time.
    pub(super) is_last: bool,
}

/// What did not work, and what can be done about it.
#[derive(Clone, Copy)]
pub(super) struct Trouble<'a> {
    pub(super) kind: Kind,
    pub(super) explanation: &'static Explanation,
    /// What the operator says about just this; otherwise the site's help is shown.
    pub(super) remedy: Option<&'a Localized>,
    pub(super) button: Option<Button<'a>>,
    /// What else there is to do.
    pub(super) other: Option<Button<'a>>,
    pub(super) reference: Option<&'a Reference>,
}

/// Which template a trouble has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Whatever is none of the others.
    Error,
    /// A rule lets nobody through, or not this member.
    Forbidden,
    /// The membership is not active.
    Lapsed,
    /// The app does not answer.
    Unavailable,
}

/// Something to do.
#[derive(Clone, Copy)]
pub(super) enum Button<'a> {
    SignIn(&'a str),
    SignInAgain(&'a str),
    TryAgain(&'a str),
    AnotherWay(&'a str),
    /// It may well be there.
    FrontPage,
}

impl<'a> Button<'a> {
    pub(super) const fn label(self, texts: &Texts) -> &'static str {
        match self {
            Self::SignIn(_) => texts.sign_in,
            Self::SignInAgain(_) => texts.sign_in_again,
            Self::TryAgain(_) => texts.try_again,
            Self::AnotherWay(_) => texts.another_way,
            Self::FrontPage => texts.front_page,
        }
    }

    pub(super) const fn path(self) -> &'a str {
        match self {
            Self::SignIn(path) | Self::SignInAgain(path) | Self::TryAgain(path) | Self::AnotherWay(path) => {
                path
            }
            Self::FrontPage => "/",
        }
    }
}

/// A page, ready to be sent.
#[derive(Debug)]
pub(super) struct Rendered {
    pub(super) html: String,
    pub(super) content_security_policy: HeaderValue,
    pub(super) language: Language,
}

impl Pages {
    /// Pages that look like this.
    #[must_use]
    pub fn new(branding: Branding, templates: Option<Templates>) -> Self {
        let own = templates.as_ref().and_then(Templates::style);
        let colour = branding.colour.map(super::colour::Colour::style).unwrap_or_default();
        // The operator's colour comes last, in place of the usual one.
        let style = format!("{}{colour}", own.unwrap_or(STYLE));
        Self { style_digest: digest_of(&style), style, branding, templates }
    }

    /// What the pages call the site.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.branding.name
    }

    pub(super) const fn branding(&self) -> &Branding {
        &self.branding
    }

    pub(super) fn style(&self) -> &str {
        &self.style
    }

    pub(super) const fn templates(&self) -> Option<&Templates> {
        self.templates.as_ref()
    }

    /// The same pages without the operator's templates.
    fn builtin(&self, page: &Page<'_>, language: Language) -> String {
        let content = html! {
            (self.content(page, language))
            @if let Some(script) = page.script() { script { (PreEscaped(script)) } }
        };
        self.frame(page.title(Texts::of(language)), &content, language).into_string()
    }

    /// A page in a language.
    pub(super) fn render(&self, page: &Page<'_>, language: Language) -> Rendered {
        let templated = self.templates.as_ref().map(|templates| templates.render(self, page, language));
        let html = match templated {
            Some(Ok(html)) => html,
            Some(Err(mistake)) => {
                // Every template was tried at the start; nobody is left without a page over what was not foreseen.
                tracing::warn!(
                    file = mistake.file,
                    line = mistake.line,
                    what = mistake.what,
                    "a template failed"
                );
                self.builtin(page, language)
            }
            None => self.builtin(page, language),
        };
        Rendered { html, content_security_policy: self.policy(page), language }
    }

    /// Nothing but this style sheet, the script of ours, pictures that stand in the page, and no frame around any of it.
    fn policy(&self, page: &Page<'_>) -> HeaderValue {
        let script = page.script().map(|script| format!(" script-src 'sha256-{}';", digest_of(script)));
        let script = script.unwrap_or_default();
        let images = match (&self.templates, &self.branding) {
            (Some(_), _) => " img-src data: 'self';",
            (None, Branding { logo: None, provider_logos, .. }) if provider_logos.is_empty() => "",
            (None, _) => " img-src data:;",
        };
        let style = &self.style_digest;
        // A page with a form leaves `form-action` out: browsers apply it to the redirects that follow a form as well (CSP
        // 3 §6.4.1), and after signing out these lead by way of the site to the vendor's own form. They would end there
        // without a word.
        let form = if page.has_form() { "" } else { " form-action 'none';" };
        let policy = format!(
            "default-src 'none';{script} style-src 'sha256-{style}';{images}{form} base-uri 'none'; frame-ancestors 'none'"
        );
        HeaderValue::try_from(policy).expect("a policy is ASCII")
    }

    pub(super) fn frame(&self, title: &str, content: &Markup, language: Language) -> Markup {
        let texts = Texts::of(language);
        let name = if self.branding.name.is_empty() { texts.sign_in_page } else { &self.branding.name };
        html! {
            (DOCTYPE)
            html lang=(language.tag()) {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="robots" content="noindex";
                    title { (title.trim_end_matches('.')) " · " (name) }
                    style { (PreEscaped(&self.style)) }
                }
                body {
                    main {
                        @match &self.branding.logo {
                            Some(logo) => p.site { img.logo src=(logo.uri()) alt=(name); },
                            None => p.site { (name) },
                        }
                        h1 { (title) }
                        (content)
                    }
                }
            }
        }
    }

    /// What stands below the heading.
    pub(super) fn content(&self, page: &Page<'_>, language: Language) -> Markup {
        let texts = Texts::of(language);
        match *page {
            Page::Chooser(choices) => chooser(choices, texts),
            Page::SignOut { return_to } => html! {
                form method="post" action=(SIGN_OUT) {
                    input type="hidden" name="return_to" value=(return_to);
                    p { button.button type="submit" { (texts.sign_out) } }
                }
                p { a.button.quiet href=(return_to) { (texts.stay) } }
            },
            Page::Trouble(trouble) => self.trouble(&trouble, language),
            Page::KeepForm { target, sealed, login_path, login_without } => html! {
                p { (texts.form_kept.advice) }
                p #lost hidden { (texts.form_not_storable) }
                p { a.button href=(login_without) { (texts.sign_in) } }
                noscript { p { (texts.form_needs_script) } }
                div #form hidden data-target=(target) data-sealed=(sealed) data-next=(login_path) {}
            },
            Page::SendForm { field } => html! {
                form #form method="post" { input type="hidden" name=(field); }
                p { (texts.form_sent.advice) }
                p { a.button.quiet href="/" { (texts.front_page) } }
            },
            Page::KeepFragment { login_path } => html! {
                p { a.button #next href=(login_path) { (texts.sign_in) } }
            },
        }
    }

    fn trouble(&self, trouble: &Trouble<'_>, language: Language) -> Markup {
        let texts = Texts::of(language);
        let Trouble { kind, explanation, button, other, reference, .. } = *trouble;
        let help = self.help(trouble, language);
        let contact = self.branding.contact.as_ref().map(|contact| contact.for_reader(language));
        // Signing in again does not make a membership active: here whom to ask comes first.
        let is_lapsed = kind == Kind::Lapsed;
        let button = html! {
            @if let Some(button) = button {
                p { a.button.quiet[is_lapsed] href=(button.path()) { (button.label(texts)) } }
            }
        };
        let ask = html! {
            @if let Some(Text { text, language }) = help { p.help lang=[language] { (text) } }
            @if let Some(Text { text, language }) = contact {
                p.contact { (texts.contact) " " @match contact_link(text) {
                    Some(link) => a href=(link) lang=[language] { (text) },
                    None => span lang=[language] { (text) },
                } }
            }
        };
        html! {
            p { (explanation.advice) }
            @if !explanation.points.is_empty() {
                ul.points { @for point in explanation.points { li { (point) } } }
            }
            @if is_lapsed { (ask) (button) } @else { (button) (ask) }
            @if let Some(other) = other { p { a.button.quiet href=(other.path()) { (other.label(texts)) } } }
            @if let Some(reference) = reference {
                p.reference { (texts.reference_number) " " strong { (reference) } }
            }
        }
    }

    /// What the operator says: about this very trouble, or in general.
    pub(super) fn help<'a>(&'a self, trouble: &Trouble<'a>, language: Language) -> Option<Text<'a>> {
        trouble.remedy.or(self.branding.help.as_ref()).map(|help| help.for_reader(language))
    }
}

fn chooser(choices: &[Choice<'_>], texts: &Texts) -> Markup {
    html! {
        ul.choices {
            @for choice in choices {
                li {
                    a.button href=(choice.login_path) {
                        @if let Some(logo) = choice.logo { img src=(logo.uri()) alt=""; }
                        span { (choice.title) }
                        @if choice.is_last { span.note { (texts.last_choice) } }
                    }
                }
            }
        }
    }
}

impl Page<'_> {
    /// The heading.
    pub(super) const fn title(&self, texts: &Texts) -> &'static str {
        match self {
            Self::Chooser(_) => texts.choose,
            Self::SignOut { .. } => texts.sign_out_title,
            Self::Trouble(trouble) => trouble.explanation.title,
            Self::KeepForm { .. } => texts.form_kept.title,
            Self::SendForm { .. } => texts.form_sent.title,
            Self::KeepFragment { .. } => texts.fragment_kept,
        }
    }

    /// The script, where there is one. It says nothing: every text is in the page.
    pub(super) const fn script(&self) -> Option<&'static str> {
        match self {
            Self::Chooser(_) | Self::SignOut { .. } | Self::Trouble(_) => None,
            Self::KeepForm { .. } => Some(
                "const form = document.getElementById('form').dataset;\n\
                 try {\n\
                   sessionStorage.setItem('member-gateway-form', JSON.stringify({ target: form.target, sealed: form.sealed }));\n\
                   location.replace(form.next);\n\
                 } catch { document.getElementById('lost').hidden = false; }\n",
            ),
            Self::SendForm { .. } => Some(
                "const kept = JSON.parse(sessionStorage.getItem('member-gateway-form') || 'null');\n\
                 sessionStorage.removeItem('member-gateway-form');\n\
                 const form = document.getElementById('form');\n\
                 if (kept) { form.action = kept.target; form.elements[0].value = kept.sealed; form.submit(); }\n\
                 else { location.replace('/'); }\n",
            ),
            Self::KeepFragment { .. } => Some(
                "const next = document.getElementById('next').href;\n\
                 location.replace(next + encodeURIComponent(location.hash));\n",
            ),
        }
    }

    const fn has_form(&self) -> bool {
        match self {
            Self::SignOut { .. } | Self::SendForm { .. } => true,
            Self::Chooser(_) | Self::Trouble(_) | Self::KeepForm { .. } | Self::KeepFragment { .. } => false,
        }
    }
}

fn digest_of(text: &str) -> String {
    STANDARD.encode(digest::digest(&digest::SHA256, text.as_bytes()))
}
