//! Templates: the operator's own HTML in place of the gateway's, from the files of one folder.
//!
//! `page.html` is the frame around all pages, the others are what stands in it. Whatever a template prints is escaped, in
//! every block of it; only what the gateway itself has made of HTML is not. A template that never ends runs out of fuel.
//! Reading the folder is left to `config`, trying the templates to the samples.

use std::collections::BTreeMap;

use minijinja::value::Value;
use minijinja::{Environment, Error, HtmlEscape, Output, State, UndefinedBehavior, context};

use super::branding::{Logo, Text, contact_link};
use super::language::Language;
use super::pages::{Button, Kind, Page, Pages, SIGN_OUT, Trouble};
use super::texts::Texts;

/// Around every page.
const FRAME: &str = "page.html";
const STYLE: &str = "style.css";
const ERROR: &str = "error.html";
/// All files that mean something.
pub const FILES: [&str; 8] = [
    FRAME,
    "chooser.html",
    "sign-out.html",
    ERROR,
    "forbidden.html",
    "lapsed.html",
    "unavailable.html",
    STYLE,
];
/// Steps of one template: a hundred times what a page of ours would take.
const FUEL: u64 = 50_000;
/// The longest page a template may make, in octets; pictures of the operator's are part of it.
const MOST_OCTETS: usize = 2 * 1024 * 1024;

/// The files of one folder.
#[derive(Clone, Debug)]
pub struct Templates {
    environment: Environment<'static>,
    style: Option<String>,
}

/// What is wrong with a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// In which file.
    pub file: String,
    /// In which line, where that is known.
    pub line: Option<usize>,
    /// What it is.
    pub what: String,
}

impl Mistake {
    pub(super) fn new(file: &str, line: Option<usize>, what: impl Into<String>) -> Self {
        Self { file: file.to_owned(), line, what: what.into() }
    }

    fn of(file: &str, error: &Error) -> Self {
        let what = match error.detail() {
            Some(detail) => format!("{}: {detail}", error.kind()),
            None => error.kind().to_string(),
        };
        Self::new(file, error.line(), what)
    }
}

impl Templates {
    /// Templates out of files by name, of those in [`FILES`].
    ///
    /// # Errors
    /// Every file that is no template.
    pub fn new(mut files: BTreeMap<&'static str, String>) -> Result<Self, Vec<Mistake>> {
        let style = files.remove(STYLE);
        let mut mistakes = Vec::new();
        if style.as_ref().is_some_and(|style| style.to_ascii_lowercase().contains("</style")) {
            mistakes.push(Mistake::new(STYLE, None, "`</style` would end the style sheet in the page"));
        }
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_fuel(Some(FUEL));
        environment.set_formatter(escape);
        // What is safe is decided here and not in a template.
        environment.remove_filter("safe");
        for (name, source) in files {
            if let Err(error) = environment.add_template_owned(name, source) {
                mistakes.push(Mistake::of(name, &error));
            }
        }
        if mistakes.is_empty() { Ok(Self { environment, style }) } else { Err(mistakes) }
    }

    /// The style sheet, if it is the operator's.
    pub(super) fn style(&self) -> Option<&str> {
        self.style.as_deref()
    }

    fn has(&self, file: &str) -> bool {
        self.environment.get_template(file).is_ok()
    }

    /// The file for what stands on a page, if there is one.
    pub(super) fn file_for(&self, page: &Page<'_>) -> Option<&'static str> {
        let file = match page {
            Page::Chooser(_) => "chooser.html",
            Page::SignOut { .. } => "sign-out.html",
            Page::Trouble(trouble) => {
                let own = match trouble.kind {
                    Kind::Error => ERROR,
                    Kind::Forbidden => "forbidden.html",
                    Kind::Lapsed => "lapsed.html",
                    Kind::Unavailable => "unavailable.html",
                };
                if self.has(own) { own } else { ERROR }
            }
            // Their scripts have to find what they look for.
            Page::KeepForm { .. } | Page::SendForm { .. } | Page::KeepFragment { .. } => return None,
        };
        self.has(file).then_some(file)
    }

    /// A page, with what the operator has written and the gateway's own for the rest.
    pub(super) fn render(
        &self,
        pages: &Pages,
        page: &Page<'_>,
        language: Language,
    ) -> Result<String, Mistake> {
        self.frame(pages, page, self.content(pages, page, language)?, language)
    }

    /// What stands in the frame.
    pub(super) fn content(
        &self,
        pages: &Pages,
        page: &Page<'_>,
        language: Language,
    ) -> Result<String, Mistake> {
        let mut content = match self.file_for(page) {
            Some(file) => {
                let own = own(pages, page, language);
                self.fill(file, context! { ..own, ..shared(pages, page, language) })?
            }
            None => pages.content(page, language).into_string(),
        };
        if let Some(script) = page.script() {
            content.push_str(&format!("<script>{script}</script>"));
        }
        Ok(content)
    }

    /// The whole page around its content.
    pub(super) fn frame(
        &self,
        pages: &Pages,
        page: &Page<'_>,
        content: String,
        language: Language,
    ) -> Result<String, Mistake> {
        if !self.has(FRAME) {
            let title = page.title(Texts::of(language));
            return Ok(pages.frame(title, &maud::PreEscaped(content), language).into_string());
        }
        let frame = context! {
            content => Value::from_safe_string(content),
            style => Value::from_safe_string(pages.style().to_owned()),
            ..shared(pages, page, language)
        };
        self.fill(FRAME, frame)
    }

    fn fill(&self, file: &str, values: Value) -> Result<String, Mistake> {
        let template = self.environment.get_template(file).map_err(|error| Mistake::of(file, &error))?;
        let text = template.render(values).map_err(|error| Mistake::of(file, &error))?;
        if text.len() > MOST_OCTETS {
            return Err(Mistake::new(file, None, "the page is longer than 2 MiB"));
        }
        Ok(text)
    }
}

/// Prints a value: escaped, unless it is HTML of the gateway's own, and nothing for what is not there. The `autoescape`
/// of a template changes nothing about it.
fn escape(out: &mut Output<'_>, _: &mut State<'_, '_>, value: &Value) -> Result<(), Error> {
    if value.is_none() || value.is_undefined() {
        return Ok(());
    }
    let text = value.to_string();
    if value.is_safe() {
        out.write_str(&text)?;
    } else {
        write!(out, "{}", HtmlEscape(&text))?;
    }
    Ok(())
}

/// What every template can say.
fn shared(pages: &Pages, page: &Page<'_>, language: Language) -> Value {
    let texts = Texts::of(language);
    let name = if pages.name().is_empty() { texts.sign_in_page } else { pages.name() };
    let words = context! {
        contact => texts.contact,
        last_choice => texts.last_choice,
        reference_number => texts.reference_number,
        sign_out => texts.sign_out,
        stay => texts.stay,
    };
    context! {
        language => language.tag(),
        title => page.title(texts),
        site => context! { name, logo => pages.branding().logo.as_ref().map(Logo::uri) },
        words,
    }
}

/// What the templates of one page can say.
fn own(pages: &Pages, page: &Page<'_>, language: Language) -> Value {
    match *page {
        Page::Chooser(choices) => {
            let choice = |choice: &super::pages::Choice<'_>| {
                context! {
                    title => choice.title,
                    path => choice.login_path,
                    logo => choice.logo.map(Logo::uri),
                    last => choice.is_last,
                }
            };
            context! { choices => choices.iter().map(choice).collect::<Vec<_>>() }
        }
        Page::SignOut { return_to } => context! { action => SIGN_OUT, return_to },
        Page::Trouble(ref trouble) => trouble_values(pages, trouble, language),
        Page::KeepForm { .. } | Page::SendForm { .. } | Page::KeepFragment { .. } => context! {},
    }
}

fn trouble_values(pages: &Pages, trouble: &Trouble<'_>, language: Language) -> Value {
    let texts = Texts::of(language);
    let localized = |Text { text, language }: Text<'_>| context! { text, language };
    let contact = pages.branding().contact.as_ref().map(|contact| {
        let Text { text, language } = contact.for_reader(language);
        context! { text, language, link => contact_link(text) }
    });
    let button = |button: Button<'_>| context! { label => button.label(texts), path => button.path() };
    context! {
        advice => trouble.explanation.advice,
        points => trouble.explanation.points.to_vec(),
        help => pages.help(trouble, language).map(localized),
        contact,
        button => trouble.button.map(button),
        other => trouble.other.map(button),
        reference => trouble.reference.map(ToString::to_string),
    }
}
