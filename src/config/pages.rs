//! `[site.pages]` and the logos of providers: what the operator says and shows on the gateway's pages, checked.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::path::Path as FilePath;

use super::assemble::at;
use super::mistakes::Mistakes;
use super::structure::Path;
use super::{Config, LocalizedText, PagesTable, SiteTable, provider};
use crate::gateway::branding::{Branding, Localized, Logo, MOST_LOGO, NoLogo};
use crate::gateway::colour::Colour;
use crate::gateway::pages::Pages;
use crate::gateway::templates::{self, Templates};

/// The largest file of a folder of templates.
const MOST_TEMPLATE: usize = 256 * 1024;

/// The pictures of the providers, by name.
pub(super) fn provider_logos(config: &Config, mistakes: &mut Mistakes<'_>) -> BTreeMap<String, Logo> {
    let mut logos = BTreeMap::new();
    for (index, table) in config.provider.iter().enumerate() {
        let provider::Common { name, logo: Some(file), .. } = table.common() else { continue };
        if let Some(logo) = logo(file, &at(["provider"]).index(index).key("logo"), mistakes) {
            logos.insert(name.to_owned(), logo);
        }
    }
    logos
}

/// The pages of a site; those of its providers that have a logo are in `logos`.
pub(super) fn pages(
    site: &SiteTable,
    path: &Path,
    host: &str,
    logos: &BTreeMap<String, Logo>,
    mistakes: &mut Mistakes<'_>,
) -> Pages {
    let (table, path): (&PagesTable, Path) = (&site.pages, path.key("pages"));
    let name = table.name.as_deref().unwrap_or(host);
    if name.trim().is_empty() {
        mistakes.note(&path.key("name"), "this name is empty", "what members call the site");
    }
    let colour = table.colour.as_ref().and_then(|text| {
        let colour = Colour::parse(text);
        if colour.is_none() {
            mistakes.note(&path.key("colour"), "this is no colour", "six hexadecimal digits: \"#0b5cad\"");
        }
        colour
    });
    let branding = Branding {
        name: name.to_owned(),
        logo: table.logo.as_ref().and_then(|file| logo(file, &path.key("logo"), mistakes)),
        colour,
        help: localized(table.help.as_ref(), &path.key("help"), mistakes),
        contact: localized(table.contact.as_ref(), &path.key("contact"), mistakes),
        provider_logos: logos
            .iter()
            .filter(|(name, _)| site.providers.iter().any(|own| own == *name))
            .map(|(name, logo)| (name.clone(), logo.clone()))
            .collect(),
    };
    let path = path.key("templates");
    let templates = table.templates.as_ref().and_then(|folder| templates(folder, &path, mistakes));
    let pages = Pages::new(branding, templates);
    if let Err(found) = pages.try_templates() {
        let folder = table.templates.as_deref().unwrap_or_default();
        note_mistakes(&found, folder, &path, mistakes);
    }
    pages
}

/// A text of the operator's, in one language or several.
pub(super) fn localized(
    text: Option<&LocalizedText>,
    path: &Path,
    mistakes: &mut Mistakes<'_>,
) -> Option<Localized> {
    let mut check = |text: &String, path: &Path| {
        if text.trim().is_empty() {
            mistakes.note(path, "this text is empty", "what members are to read");
        }
        text.trim().to_owned()
    };
    Some(match text? {
        LocalizedText::One(text) => Localized::One(check(text, path)),
        LocalizedText::Each(texts) => Localized::Each {
            english: check(&texts.en, &path.key("en")),
            spanish: texts.es.as_ref().map(|text| check(text, &path.key("es"))),
            french: texts.fr.as_ref().map(|text| check(text, &path.key("fr"))),
        },
    })
}

fn logo(file: &str, path: &Path, mistakes: &mut Mistakes<'_>) -> Option<Logo> {
    const EXPECTED: &str = "an SVG, PNG, WebP or JPEG file of at most 64 KiB";
    let bytes = match read(&mistakes.folder().join(file), MOST_LOGO) {
        Ok(bytes) => bytes,
        Err(error) => {
            let help = "the path starts at the folder of this file; the gateway has to be able to read it";
            mistakes.note_with_help(path, format!("the file {file} cannot be read: {error}"), EXPECTED, help);
            return None;
        }
    };
    match Logo::new(&bytes) {
        Ok(logo) => Some(logo),
        Err(error) => {
            let help = match error {
                NoLogo::TooLarge => "the logo is part of every page; an SVG or a small PNG will do",
                NoLogo::Unknown => "the kind is told by what is in the file, not by its name",
            };
            mistakes.note_with_help(path, format!("{file}: {error}"), EXPECTED, help);
            None
        }
    }
}

/// The templates of a folder; nothing where one of them is wrong, which has been said then.
fn templates(folder: &str, path: &Path, mistakes: &mut Mistakes<'_>) -> Option<Templates> {
    let place = mistakes.folder().join(folder);
    let names = match file_names(&place) {
        Ok(names) => names,
        Err(error) => {
            let message = format!("the folder {folder} cannot be read: {error}");
            let help = "the path starts at the folder of this file; the gateway has to be able to read it";
            mistakes.note_with_help(path, message, "a folder", help);
            return None;
        }
    };
    let mut files = BTreeMap::new();
    let mut all_good = true;
    for name in names {
        let known = templates::FILES.into_iter().find(|known| *known == name);
        let text = known.map(|known| (known, read(&place.join(&name), MOST_TEMPLATE).map(String::from_utf8)));
        let message = match text {
            Some((known, Ok(Ok(text)))) if text.len() <= MOST_TEMPLATE => {
                files.insert(known, text);
                continue;
            }
            Some((_, Ok(Ok(_)))) => format!("{folder}/{name} is larger than 256 KiB"),
            Some((_, Ok(Err(_)))) => format!("{folder}/{name} is not UTF-8"),
            Some((_, Err(error))) => format!("{folder}/{name} cannot be read: {error}"),
            None => format!("{folder}/{name} is no template of any page"),
        };
        all_good = false;
        let likeness = |known: &&str| strsim::jaro_winkler(known, &name);
        let nearest = templates::FILES.into_iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
        match nearest.filter(|nearest| known.is_none() && likeness(nearest) > 0.7) {
            Some(nearest) => {
                let help = format!("did you mean `{nearest}`?");
                mistakes.note_with_help(path, message, &templates::FILES.join(", "), &help);
            }
            None => mistakes.note(path, message, &templates::FILES.join(", ")),
        }
    }
    match Templates::new(files) {
        Ok(templates) if all_good => Some(templates),
        Ok(_) => None,
        Err(found) => {
            note_mistakes(&found, folder, path, mistakes);
            None
        }
    }
}

fn note_mistakes(found: &[templates::Mistake], folder: &str, path: &Path, mistakes: &mut Mistakes<'_>) {
    for templates::Mistake { file, line, what } in found {
        let line = line.map(|line| format!(":{line}")).unwrap_or_default();
        mistakes.note_with_help(
            path,
            format!("{folder}/{file}{line}: {what}"),
            "a template as docs/pages.md describes it",
            "each template is tried at the start, with every page in every language",
        );
    }
}

/// What a folder holds, except what is hidden.
fn file_names(folder: &FilePath) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if !name.starts_with('.') {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// A file, or of a larger one as much as shows that it is too large.
fn read(file: &FilePath, most: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    fs::File::open(file)?.take(most as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}
