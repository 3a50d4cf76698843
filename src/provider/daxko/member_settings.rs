//! The settings of an API username: the redirect URIs that Daxko's log-in form sends to, and the form's two links.
//!
//! They belong to the username, whatever site it serves, and Daxko replaces the whole document with what it is sent. So
//! what stands there and is not understood here goes back as it came. How `GET` answers is not published: the wrapper may
//! be missing, and settings that were never saved may be a 404 or nothing at all.

use std::collections::HashSet;

use percent_encoding::percent_decode_str;
use reqwest::{StatusCode, Url};
use serde_json::{Map, Value, json};

use super::Daxko;
use crate::provider::inspection::Registration;
use crate::provider::token_endpoint::Answer;
use crate::provider::{ProviderError, RedirectUri};
use crate::time::UnixTime;

const ENDPOINT: &str = "settings resource";
const UNCLEAR: ProviderError =
    ProviderError::Unintelligible { endpoint: ENDPOINT, what: "it is no document of settings" };

/// The links of the log-in form, by their names at Daxko.
const LINKS: [&str; 2] = ["sign_up", "forgot_password"];

/// What the config says about the form's links. Nothing: as it is; blank: none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Links {
    /// For those who have no account yet.
    pub sign_up: Option<String>,
    /// For those who do not know their password.
    pub forgot_password: Option<String>,
}

/// The settings.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Document {
    redirect_uris: Vec<String>,
    links: [Link; 2],
    other_links: Map<String, Value>,
    others: Map<String, Value>,
    /// What stands beside the wrapper.
    envelope: Map<String, Value>,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Link {
    url: Option<String>,
    others: Map<String, Value>,
}

/// A line of a comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// Only in the new document.
    Added(String),
    /// Only in the old one.
    Dropped(String),
    /// In both.
    Kept(String),
}

/// What was read.
#[derive(Debug)]
pub struct Saved {
    /// The settings; those of a username that never saved any are empty.
    pub document: Document,
    /// What time it is at Daxko.
    pub date: Option<UnixTime>,
}

impl Daxko {
    /// Reads the settings of the API username.
    ///
    /// # Errors
    /// Where Daxko does not answer, does not take the credentials, or answers in a way that is not understood.
    pub async fn read_settings(&self) -> Result<Saved, ProviderError> {
        let url = self.resource("partners/oauth2/members/settings");
        let answer = self.on_behalf_of_the_client(ENDPOINT, || self.http.get(&url)).await?;
        let document = match answer.status {
            StatusCode::NOT_FOUND | StatusCode::NO_CONTENT => Document::default(),
            status if !status.is_success() => return Err(refused(&answer)),
            _ if answer.is_empty => Document::default(),
            _ => answer.json.as_ref().and_then(Document::read).ok_or(UNCLEAR)?,
        };
        Ok(Saved { document, date: answer.date })
    }

    /// Replaces the settings of the API username. Any success is one, whatever its body.
    ///
    /// # Errors
    /// Where Daxko does not answer, does not take the credentials, or refuses the document.
    pub async fn write_settings(&self, document: &Document) -> Result<(), ProviderError> {
        let url = self.resource("partners/oauth2/members/settings");
        let body = document.write(self.settings.generation.wraps_settings());
        let answer = self.on_behalf_of_the_client(ENDPOINT, || self.http.put(&url, &body)).await?;
        if answer.status.is_success() { Ok(()) } else { Err(refused(&answer)) }
    }

    /// What the settings should be, given what they are. What the config does not name is kept, unless it is to be
    /// replaced.
    #[must_use]
    pub fn wanted_settings(&self, saved: &Document, registration: &Registration, replace: bool) -> Document {
        let mut wanted = if replace { Document::default() } else { saved.clone() };
        for RedirectUri(uri) in registration.redirect_uris.iter().chain(&registration.shared) {
            if !wanted.redirect_uris.contains(uri) {
                wanted.redirect_uris.push(uri.clone());
            }
        }
        let links = &self.settings.links;
        for (link, named) in wanted.links.iter_mut().zip([&links.sign_up, &links.forgot_password]) {
            if let Some(url) = named {
                link.url = Some(url.trim().to_owned()).filter(|url| !url.is_empty());
            }
        }
        wanted
    }
}

fn refused(answer: &Answer) -> ProviderError {
    ProviderError::ClientRefused { endpoint: ENDPOINT, status: answer.status.as_u16(), error: None }
}

impl Document {
    /// The registered redirect URIs.
    #[must_use]
    pub fn redirect_uris(&self) -> &[String] {
        &self.redirect_uris
    }

    /// The names of the links that lead to a callback of these hosts. Nobody who follows one comes with a code: they
    /// would end on an error page.
    #[must_use]
    pub fn links_to_a_callback(&self, hosts: &[String]) -> Vec<&'static str> {
        let leads = |link: &Link| link.url.as_ref().is_some_and(|url| is_callback(url, hosts));
        LINKS.into_iter().zip(&self.links).filter(|(_, link)| leads(link)).map(|(name, _)| name).collect()
    }

    /// Whether the other one says the same as far as it is understood here; in which order is all the same.
    #[must_use]
    pub fn agrees_with(&self, other: &Self) -> bool {
        let set = |document: &Self| document.redirect_uris.iter().cloned().collect::<HashSet<_>>();
        let urls = |document: &Self| document.links.clone().map(|link| link.url);
        set(self) == set(other) && urls(self) == urls(other)
    }

    /// Whether the other one is the same, what is not understood included.
    #[must_use]
    pub fn is_the_same_as(&self, other: &Self) -> bool {
        self.agrees_with(other)
            && self.others == other.others
            && self.other_links == other.other_links
            && self.envelope == other.envelope
    }

    /// What is different in `new`, line by line.
    #[must_use]
    pub fn compared_with(&self, new: &Self) -> Vec<Line> {
        let mut lines = Vec::new();
        for uri in &self.redirect_uris {
            let line = format!("redirect URI     {uri}");
            let kept = new.redirect_uris.contains(uri);
            lines.push(if kept { Line::Kept(line) } else { Line::Dropped(line) });
        }
        for uri in new.redirect_uris.iter().filter(|uri| !self.redirect_uris.contains(uri)) {
            lines.push(Line::Added(format!("redirect URI     {uri}")));
        }
        for ((name, old), new) in LINKS.into_iter().zip(&self.links).zip(&new.links) {
            let line = |url: &str| format!("{name:<17}{url}");
            if old.url == new.url {
                lines.push(Line::Kept(line(old.url.as_deref().unwrap_or("(no link)"))));
                continue;
            }
            lines.extend(old.url.as_deref().map(|url| Line::Dropped(line(url))));
            lines.push(Line::Added(line(new.url.as_deref().unwrap_or("(no link)"))));
        }
        for (what, old, new) in [
            ("further key", &self.others, &new.others),
            ("further link", &self.other_links, &new.other_links),
            ("beside settings", &self.envelope, &new.envelope),
        ] {
            for name in old.keys() {
                let line = format!("{what:<17}{name}");
                lines.push(if new.contains_key(name) { Line::Kept(line) } else { Line::Dropped(line) });
            }
        }
        lines
    }

    /// Nothing where it is no such document: what is not understood must not be overwritten.
    fn read(answer: &Value) -> Option<Self> {
        let mut envelope = match answer {
            Value::Null => return Some(Self::default()),
            Value::Object(object) => object.clone(),
            Value::Array(array) => return array.is_empty().then(Self::default),
            Value::Bool(_) | Value::Number(_) | Value::String(_) => return None,
        };
        // Whatever else has been said, with a success or without, an error for example: nobody has told what is saved.
        let is_theirs = |name: &str| envelope.contains_key(name);
        if !envelope.is_empty() && !["settings", "valid_redirect_uris", "links"].into_iter().any(is_theirs) {
            return None;
        }
        let wrapped = !envelope.contains_key("valid_redirect_uris");
        let mut others = match wrapped.then(|| envelope.remove("settings")).flatten() {
            Some(Value::Object(settings)) => settings,
            Some(Value::Null) if envelope.is_empty() => Map::new(),
            Some(_) => return None,
            None => std::mem::take(&mut envelope),
        };
        let redirect_uris = match others.remove("valid_redirect_uris") {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(uris)) => {
                uris.iter().map(|uri| uri.as_str().map(str::to_owned)).collect::<Option<_>>()?
            }
            Some(_) => return None,
        };
        let mut other_links = match others.remove("links") {
            None | Some(Value::Null) => Map::new(),
            Some(Value::Object(links)) => links,
            Some(_) => return None,
        };
        let mut links = <[Link; 2]>::default();
        for (name, link) in LINKS.into_iter().zip(&mut links) {
            *link = Link::read(other_links.remove(name))?;
        }
        Some(Self { redirect_uris, links, other_links, others, envelope })
    }

    fn write(&self, wrapped: bool) -> Value {
        let mut links = self.other_links.clone();
        for (name, link) in LINKS.into_iter().zip(&self.links) {
            let mut object = link.others.clone();
            let url = match &link.url {
                Some(url) => json!(url),
                // partners-v1 takes null for Daxko's own page here; v3 wants text.
                None if !wrapped && name == "forgot_password" => Value::Null,
                None => json!(""),
            };
            object.insert("url".to_owned(), url);
            links.insert(name.to_owned(), Value::Object(object));
        }
        let mut document = self.others.clone();
        document.insert("valid_redirect_uris".to_owned(), json!(self.redirect_uris));
        document.insert("links".to_owned(), Value::Object(links));
        if !wrapped {
            return Value::Object(document);
        }
        let mut envelope = self.envelope.clone();
        envelope.insert("settings".to_owned(), Value::Object(document));
        Value::Object(envelope)
    }
}

impl Link {
    fn read(value: Option<Value>) -> Option<Self> {
        let (url, others) = match value {
            None | Some(Value::Null) => (None, Map::new()),
            Some(Value::String(url)) => (Some(Value::String(url)), Map::new()),
            Some(Value::Object(mut object)) => (object.remove("url"), object),
            Some(Value::Bool(_) | Value::Number(_) | Value::Array(_)) => return None,
        };
        let url = match url {
            None | Some(Value::Null) => None,
            Some(Value::String(url)) => Some(url).filter(|url| !url.trim().is_empty()),
            Some(_) => return None,
        };
        Some(Self { url, others })
    }
}

/// Whether an address is a callback at one of these hosts, in any spelling.
#[must_use]
pub fn is_callback(address: &str, hosts: &[String]) -> bool {
    // A link without a scheme takes that of the log-in form.
    let form = Url::parse("https://log-in-form.invalid/").expect("an address");
    let Ok(url) = form.join(address.trim()) else { return false };
    let Some(host) = url.host_str() else { return false };
    // With the dot of the root at its end it is the same host to a browser (RFC 1034 §3.1).
    let host = host.strip_suffix('.').unwrap_or(host);
    if !hosts.iter().any(|own| own.eq_ignore_ascii_case(host)) {
        return false;
    }
    let path = percent_decode_str(url.path()).decode_utf8_lossy().to_ascii_lowercase();
    let segments: Vec<&str> = path.split(['/', '\\']).filter(|segment| !segment.is_empty()).collect();
    segments.starts_with(&["_gateway", "callback"])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts() -> Vec<String> {
        vec!["members.example.org".to_owned()]
    }

    #[test]
    fn a_callback_is_recognised_in_any_spelling() {
        for address in [
            "https://members.example.org/_gateway/callback/ymca",
            "http://members.example.org:8080/_gateway/callback/ymca?a=b",
            "https://MEMBERS.example.org//_gateway/%63allback/",
            "https://members.example.org/join/../_GATEWAY/callback",
            "//members.example.org/_gateway/callback/ymca",
            "\\\\members.example.org\\_gateway\\callback\\ymca",
            "https://members.example.org./_gateway/callback/ymca",
        ] {
            assert!(is_callback(address, &hosts()), "{address}");
        }
        for address in [
            "https://www.example.org/_gateway/callback/ymca",
            "https://members.example.org/join",
            "https://members.example.org/_gateway/login",
            "no address",
            "",
        ] {
            assert!(!is_callback(address, &hosts()), "{address}");
        }
    }

    #[test]
    fn settings_are_read_with_or_without_their_wrapper_and_however_empty() {
        let full = json!({ "valid_redirect_uris": ["https://a.example/"], "links": {
            "sign_up": { "url": "https://a.example/join" }, "forgot_password": { "url": null } } });
        let read = Document::read(&full).unwrap();
        assert_eq!(Document::read(&json!({ "settings": full })).unwrap(), read);
        assert_eq!(read.links[0].url.as_deref(), Some("https://a.example/join"));
        for empty in
            [json!(null), json!({}), json!([]), json!({ "settings": null }), json!({ "settings": {} })]
        {
            assert_eq!(Document::read(&empty), Some(Document::default()), "{empty}");
        }
    }

    #[test]
    fn what_is_no_document_of_settings_is_not_taken_for_an_empty_one() {
        for odd in [
            json!("saved"),
            json!([1]),
            json!({ "settings": "none" }),
            json!({ "error": "temporarily_unavailable" }),
            json!({ "message": "Not found", "settings": null }),
            json!({ "status": 200, "data": { "valid_redirect_uris": ["https://a.example/"] } }),
            json!({ "valid_redirect_uris": "https://a.example/" }),
            json!({ "valid_redirect_uris": [1] }),
            json!({ "valid_redirect_uris": [], "links": [] }),
            json!({ "valid_redirect_uris": [], "links": { "sign_up": 1 } }),
            json!({ "valid_redirect_uris": [], "links": { "sign_up": { "url": 1 } } }),
        ] {
            assert_eq!(Document::read(&odd), None, "{odd}");
        }
    }

    #[test]
    fn what_is_not_understood_goes_back_as_it_came() {
        let saved = json!({ "owner": "web", "settings": {
            "valid_redirect_uris": ["https://a.example/"],
            "session_minutes": 20,
            "links": {
                "help": { "url": "https://a.example/help" },
                "sign_up": { "url": "", "label": "Join" },
                "forgot_password": { "url": "" } } } });

        assert_eq!(Document::read(&saved).unwrap().write(true), saved);
        assert_eq!(Document::read(&saved).unwrap().write(false)["session_minutes"], json!(20));
    }

    #[test]
    fn a_missing_link_is_written_as_each_generation_wants_it() {
        let links = |wrapped| Document::default().write(wrapped);
        assert_eq!(
            links(true),
            json!({ "settings": { "valid_redirect_uris": [],
                "links": { "sign_up": { "url": "" }, "forgot_password": { "url": "" } } } })
        );
        assert_eq!(
            links(false),
            json!({ "valid_redirect_uris": [],
                "links": { "sign_up": { "url": "" }, "forgot_password": { "url": null } } })
        );
    }
}
