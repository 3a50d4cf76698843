//! Branding: what the operator says of a site on the gateway's own pages.
//!
//! Texts, one for all languages or one for each; a logo; a colour; whom to ask. Everything here is the operator's and is
//! escaped all the same when it is shown.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::colour::Colour;
use super::language::Language;

/// The largest logo, in octets: it is part of every page.
pub const MOST_LOGO: usize = 64 * 1024;

/// How the pages of one site look, and whom they name.
#[derive(Clone, Debug)]
pub struct Branding {
    /// What the pages call the site.
    pub name: String,
    /// A picture of the same.
    pub logo: Option<Logo>,
    /// The colour of buttons, links and the focus.
    pub colour: Option<Colour>,
    /// What helps whoever gets no further.
    pub help: Option<Localized>,
    /// Whom to ask.
    pub contact: Option<Localized>,
    /// Pictures of the providers, by their names.
    pub provider_logos: BTreeMap<String, Logo>,
}

impl Branding {
    /// Nothing but a name.
    #[must_use]
    pub const fn named(name: String) -> Self {
        let provider_logos = BTreeMap::new();
        Self { name, logo: None, colour: None, help: None, contact: None, provider_logos }
    }
}

/// A text of the operator's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Localized {
    /// The same for everybody, in whatever language it is.
    One(String),
    /// English, and others in place of it.
    Each {
        /// For everybody whose language is not there.
        english: String,
        /// Spanish.
        spanish: Option<String>,
        /// French.
        french: Option<String>,
    },
}

impl Localized {
    /// The text for a reader, and its language where that is another one than the reader's.
    #[must_use]
    pub fn for_reader(&self, language: Language) -> Text<'_> {
        let (text, own) = match (self, language) {
            (Self::One(text), _) => return Text { text, language: None },
            (Self::Each { spanish: Some(text), .. }, Language::Spanish) => (text, Language::Spanish),
            (Self::Each { french: Some(text), .. }, Language::French) => (text, Language::French),
            (Self::Each { english, .. }, Language::English | Language::Spanish | Language::French) => {
                (english, Language::English)
            }
        };
        Text { text, language: (own != language).then(|| own.tag()) }
    }
}

/// A text as it is shown to one reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Text<'a> {
    /// The text.
    pub text: &'a str,
    /// Its language, where it is another one than the page's.
    pub language: Option<&'static str>,
}

/// Where a contact leads, if it is an e-mail address, a telephone number or an https address by itself.
#[must_use]
pub fn contact_link(text: &str) -> Option<String> {
    let text = text.trim();
    let is_graphic = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
    if is_graphic && text.starts_with("https://") {
        return url::Url::parse(text).ok().map(String::from);
    }
    let is_part = |part: &str, more: &str| {
        !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || more.contains(c))
    };
    if let Some((mailbox, host)) = text.split_once('@') {
        // What a form accepts (HTML §4.10.5.1.5), without the characters that mean something in an address.
        let is_address = is_part(mailbox, ".+_-") && is_part(host, ".-") && host.contains('.');
        return is_address.then(|| format!("mailto:{text}"));
    }
    let (plus, number) = text.strip_prefix('+').map_or(("", text), |number| ("+", number));
    let is_number = number.chars().all(|c| c.is_ascii_digit() || " -.()/".contains(c));
    let digits: String = number.chars().filter(char::is_ascii_digit).collect();
    (is_number && (5..=15).contains(&digits.len())).then(|| format!("tel:{plus}{digits}"))
}

/// A picture that stands in the page itself, so that no further request is needed and no rule can keep it away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logo(String);

/// Why a file is no logo.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoLogo {
    /// It would be part of every page.
    #[error("this picture is larger than 64 KiB")]
    TooLarge,
    /// It is told by its first bytes.
    #[error("this file is no picture of a kind that browsers show everywhere")]
    Unknown,
}

impl Logo {
    /// A picture in SVG, PNG, WebP or JPEG.
    ///
    /// # Errors
    /// [`NoLogo`] where it is too large or something else.
    pub fn new(bytes: &[u8]) -> Result<Self, NoLogo> {
        if bytes.len() > MOST_LOGO {
            return Err(NoLogo::TooLarge);
        }
        let kind = if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
            "image/png"
        } else if bytes.starts_with(&[0xff, 0xd8, 0xff]) {
            "image/jpeg"
        } else if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") {
            "image/webp"
        } else if is_svg(bytes) {
            "image/svg+xml"
        } else {
            return Err(NoLogo::Unknown);
        };
        Ok(Self(format!("data:{kind};base64,{}", STANDARD.encode(bytes))))
    }

    /// Its address, which holds all of it.
    #[must_use]
    pub fn uri(&self) -> &str {
        &self.0
    }
}

fn is_svg(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_ok_and(|text| {
        let text = text.trim_start_matches('\u{feff}').trim_start();
        (text.starts_with("<svg") || text.starts_with("<?xml") || text.starts_with("<!--"))
            && text.contains("<svg")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_that_of_the_reader_or_english_and_says_so() {
        let text = |text, language| Text { text, language };
        let each = Localized::Each { english: "Help".into(), spanish: Some("Ayuda".into()), french: None };
        assert_eq!(each.for_reader(Language::English), text("Help", None));
        assert_eq!(each.for_reader(Language::Spanish), text("Ayuda", None));
        assert_eq!(each.for_reader(Language::French), text("Help", Some("en")));
        assert_eq!(Localized::One("Ayuda".into()).for_reader(Language::French), text("Ayuda", None));
    }

    #[test]
    fn a_contact_that_can_be_reached_is_a_link() {
        for (text, link) in [
            ("desk@ymca.example", Some("mailto:desk@ymca.example")),
            ("front.desk+web@ymca.example.org", Some("mailto:front.desk+web@ymca.example.org")),
            ("+1 (555) 010-0123", Some("tel:+15550100123")),
            ("555 0100", Some("tel:5550100")),
            ("https://ymca.example/help?a=b", Some("https://ymca.example/help?a=b")),
            ("the front desk", None),
            ("the front desk, +1 555 0100", None),
            ("desk@ymca.example?cc=a@b.test", None),
            ("desk@ymca", None),
            ("a@b@c.test", None),
            ("http://ymca.example", None),
            ("javascript:alert(1)", None),
            ("https://", None),
            ("1234", None),
            ("+", None),
            ("", None),
        ] {
            assert_eq!(contact_link(text).as_deref(), link, "{text}");
        }
    }

    #[test]
    fn a_logo_is_told_by_its_first_bytes_and_bounded() {
        for (bytes, kind) in [
            (&b"\x89PNG\r\n\x1a\nrest"[..], "data:image/png;base64,iVBORw0KGgpyZXN0"),
            (b"\xff\xd8\xff\xe0", "data:image/jpeg;base64,"),
            (b"RIFF1234WEBPVP8 ", "data:image/webp;base64,"),
            (b"<svg xmlns=\"http://www.w3.org/2000/svg\"/>", "data:image/svg+xml;base64,"),
            (b"\xef\xbb\xbf<?xml version=\"1.0\"?>\n<svg/>", "data:image/svg+xml;base64,"),
        ] {
            assert!(Logo::new(bytes).unwrap().uri().starts_with(kind), "{kind}");
        }
        for bytes in [&b""[..], b"GIF89a", b"<html><svg/></html>", b"\x89PNG", b"<?xml ?><a/>", b"\xff<svg"] {
            assert_eq!(Logo::new(bytes), Err(NoLogo::Unknown));
        }
        let mut large = b"\x89PNG\r\n\x1a\n".to_vec();
        large.resize(MOST_LOGO, 0);
        assert!(Logo::new(&large).is_ok());
        large.push(0);
        assert_eq!(Logo::new(&large), Err(NoLogo::TooLarge));
    }
}
