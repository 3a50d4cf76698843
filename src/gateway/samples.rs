//! Samples: every page once, with all that it can hold and with as little as it can, in every language.
//!
//! Templates are tried with them at the start, so that a mistake is one of the configuration and not of the day on which
//! a member first sees the page.

use super::branding::{Localized, Logo};
use super::failure::Reference;
use super::language::Language;
use super::pages::{Button, Choice, Kind, Page, Pages, SIGN_OUT, Trouble};
use super::templates::Mistake;
use super::texts::Texts;

const PATH: &str = "/_gateway/login?provider=sample&return_to=%2F";
const OTHER_PATH: &str = "/_gateway/login?provider=other&return_to=%2F";
const PLACE: &str = "/a-place-to-return-to";

impl Pages {
    /// Tries every template.
    ///
    /// # Errors
    /// What is wrong with each, once.
    pub fn try_templates(&self) -> Result<(), Vec<Mistake>> {
        let Some(templates) = self.templates() else { return Ok(()) };
        let mut mistakes: Vec<Mistake> = Vec::new();
        for language in Language::ALL {
            each_sample(language, |page, needed| {
                let tried = templates.content(self, page, language).and_then(|content| {
                    let file = templates.file_for(page).unwrap_or("page.html");
                    lacks(&content, needed).map_or(Ok(()), |what| Err(Mistake::new(file, None, what)))?;
                    let html = templates.frame(self, page, content.clone(), language)?;
                    self.check_frame(&html, &content)
                });
                if let Err(mistake) = tried
                    && !mistakes.iter().any(|known| known.file == mistake.file && known.line == mistake.line)
                {
                    mistakes.push(mistake);
                }
            });
        }
        if mistakes.is_empty() { Ok(()) } else { Err(mistakes) }
    }

    fn check_frame(&self, html: &str, content: &str) -> Result<(), Mistake> {
        let style = format!("<style>{}</style>", self.style());
        let has = |name: &str| format!("this frame has to hold `{name}`");
        if !html.contains(&style) {
            return Err(Mistake::new("page.html", None, has("<style>{{ style }}</style>")));
        }
        if !html.contains(content) {
            return Err(Mistake::new("page.html", None, has("{{ content }}")));
        }
        Ok(())
    }
}

/// What a page has to hold and does not.
fn lacks(html: &str, needed: &[(&str, &str)]) -> Option<String> {
    let is_there = |text: &str| {
        let escaped = minijinja::HtmlEscape(text).to_string();
        html.contains(text) || html.contains(&escaped) || html.contains(&text.replace('&', "&amp;"))
    };
    let (_, name) = needed.iter().find(|(text, _)| !is_there(text))?;
    Some(format!("this page has to show `{name}`"))
}

/// Calls with each sample, and with what a page of it has to show: the text and its name in the template.
fn each_sample(language: Language, mut with: impl FnMut(&Page<'_>, &[(&str, &str)])) {
    let logo = Logo::new(b"<svg xmlns=\"http://www.w3.org/2000/svg\"/>").ok();
    let choices = [
        Choice { title: "Sample", login_path: PATH, logo: logo.as_ref(), is_last: true },
        Choice { title: "Other", login_path: OTHER_PATH, logo: None, is_last: false },
    ];
    with(&Page::Chooser(&choices), &[(PATH, "choice.path"), (OTHER_PATH, "choice.path")]);
    let sign_out = [(PLACE, "return_to"), (SIGN_OUT, "action")];
    with(&Page::SignOut { return_to: PLACE }, &sign_out);
    let texts = Texts::of(language);
    let reference = Reference::new();
    let number = reference.to_string();
    let remedy = Localized::One("Sample".to_owned());
    for (kind, explanation, button, other) in [
        (Kind::Error, &texts.looping, Button::SignIn(PATH), None),
        (Kind::Error, &texts.stale, Button::SignInAgain(PATH), Some(Button::AnotherWay(PATH))),
        (Kind::Forbidden, &texts.not_admitted, Button::SignIn(PATH), Some(Button::FrontPage)),
        (Kind::Lapsed, &texts.lapsed, Button::SignInAgain(PATH), Some(Button::FrontPage)),
        (Kind::Unavailable, &texts.upstream_silent, Button::TryAgain(PATH), None),
    ] {
        let trouble = Trouble {
            kind,
            explanation,
            remedy: Some(&remedy),
            button: Some(button),
            other,
            reference: Some(&reference),
        };
        with(&Page::Trouble(trouble), &[(PATH, "button.path"), (&number, "reference")]);
        let bare = Trouble { remedy: None, button: None, other: None, reference: None, ..trouble };
        with(&Page::Trouble(bare), &[]);
    }
    with(&Page::SendForm { field: "sample" }, &[("id=\"form\"", "content")]);
    with(&Page::KeepFragment { login_path: PATH }, &[("id=\"next\"", "content")]);
    let keep = Page::KeepForm { target: PLACE, sealed: "sample", login_path: PATH, login_without: PATH };
    with(&keep, &[("id=\"form\"", "content")]);
}
