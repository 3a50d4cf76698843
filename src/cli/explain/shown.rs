//! What an operator is shown of a request and its answer: everything but what opens a door.
//!
//! A cookie shows its name, credentials their scheme, a JWT what it says without its signature; so does the signature of
//! a request, which would hold for a minute. Values that come from outside are printed as they stand in no terminal's way.

use std::borrow::Cow;
use std::io::{self, Write};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::header::{
    ALLOW, AUTHORIZATION, CONTENT_TYPE, COOKIE, HeaderName, HeaderValue, LOCATION, PROXY_AUTHORIZATION,
    RETRY_AFTER, SET_COOKIE, STRICT_TRANSPORT_SECURITY,
};

use crate::cli::online::printable;
use crate::gateway::site::Site;
use crate::identity::signature::{Message, SIGNATURE, SIGNATURE_INPUT, signature_base};
use crate::message::{Fields, Request, RequestHead, Response};
use crate::verify::LABEL;

/// Parameters of an address that are worth something to whoever reads them.
const SECRET_PARAMETERS: [&str; 3] = ["state", "code", "ref"];

/// Prints the head that the app gets: what has come with the request, `-` for what does not arrive, `+` for what was
/// added or written anew.
pub(super) fn print_changes(
    sent: &Request<()>,
    arrived: &RequestHead,
    site: Option<&Site>,
    output: &mut impl Write,
) -> io::Result<()> {
    let target = arrived.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    writeln!(output, "    {} {} HTTP/1.1", arrived.method, address(target))?;
    let before = lines(sent.headers(), site);
    let after = lines(&arrived.headers, site);
    for (name, _, shown) in before.iter().filter(|line| !is_among(line, &after)) {
        writeln!(output, "  - {name}: {shown}")?;
    }
    for line in &after {
        let mark = if is_among(line, &before) { ' ' } else { '+' };
        writeln!(output, "  {mark} {}: {}", line.0, line.2)?;
    }
    Ok(())
}

/// A line of a head: name, value, and what is shown of it.
type Line<'a> = (&'a HeaderName, &'a HeaderValue, Cow<'a, str>);

fn lines<'a>(fields: &'a Fields, site: Option<&Site>) -> Vec<Line<'a>> {
    fields.iter().map(|(name, value)| (name, value, field(name, value, site))).collect()
}

fn is_among(line: &Line<'_>, others: &[Line<'_>]) -> bool {
    others.iter().any(|other| (line.0, line.1) == (other.0, other.1))
}

/// Prints what has been signed, line by line.
pub(super) fn print_signature_base(
    arrived: &RequestHead,
    site: Option<&Site>,
    output: &mut impl Write,
) -> io::Result<()> {
    let ours = arrived.headers.get(SIGNATURE_INPUT).and_then(|input| input.to_str().ok());
    let params = ours.and_then(|input| input.strip_prefix(LABEL)?.strip_prefix('='));
    let (Some(site), Some(params)) = (site, params) else {
        return writeln!(output, "\nNobody is named to the app, so nothing is signed.");
    };
    let fields = &arrived.headers;
    let message = Message {
        method: arrived.method.as_str(),
        authority: site.origin.authority(),
        path: arrived.uri.path(),
        query: arrived.uri.query(),
        fields,
    };
    let base = signature_base(&message, &site.identity.components_for(fields), params).unwrap_or_default();
    writeln!(output, "\nThe signature base (RFC 9421), by which the app verifies it:\n")?;
    for line in base.lines() {
        let jwt = site.identity.jwt().filter(|jwt| line.starts_with(&format!("\"{}\": ", jwt.field())));
        match jwt {
            Some(jwt) => writeln!(output, "    \"{}\": …", jwt.field())?,
            // Of what is signed only the query may hold what an address may.
            None => writeln!(
                output,
                "    {}",
                if line.starts_with("\"@query\": ") { address(line) } else { line.into() }
            )?,
        }
    }
    Ok(())
}

/// Prints an answer of the gateway's own.
pub(super) fn print_answer(answer: &Response<Bytes>, output: &mut impl Write) -> io::Result<()> {
    const SHOWN: [HeaderName; 6] =
        [LOCATION, ALLOW, RETRY_AFTER, CONTENT_TYPE, SET_COOKIE, STRICT_TRANSPORT_SECURITY];
    writeln!(output, "The gateway answers itself, with {}\n", answer.status())?;
    for name in SHOWN {
        for value in answer.headers().get_all(&name) {
            writeln!(output, "    {name}: {}", field(&name, value, None))?;
        }
    }
    let said: Vec<String> = said(answer).iter().map(|line| printable(line)).collect();
    if !said.is_empty() {
        writeln!(output, "\nIt says: {}", said.join("\n         "))?;
    }
    Ok(())
}

/// Prints what a person in a browser would get, where that is more than a program gets, or something else.
pub(super) fn print_difference(
    answer: &Response<Bytes>,
    navigation: &Response<Bytes>,
    output: &mut impl Write,
) -> io::Result<()> {
    const SHOW: &str = "--header 'Accept: text/html' shows it";
    let (said, also) = (said(answer), said(navigation));
    if navigation.status() != answer.status() {
        writeln!(output, "\nA browser's navigation would get {} instead; {SHOW}.", navigation.status())
    } else if also.iter().any(|line| !said.contains(line)) {
        writeln!(output, "\nA browser's navigation would get a page that says more; {SHOW}.")
    } else {
        Ok(())
    }
}

/// What a reader is told: title and detail of a problem (RFC 9457), or what stands on a page.
fn said(answer: &Response<Bytes>) -> Vec<String> {
    let Ok(text) = std::str::from_utf8(answer.body()) else { return Vec::new() };
    match serde_json::from_str::<serde_json::Value>(text) {
        Ok(problem) => {
            let parts = ["title", "detail"].into_iter().filter_map(|key| problem.get(key)?.as_str());
            parts.map(str::to_owned).collect()
        }
        Err(_) => paragraphs(text),
    }
}

/// The paragraphs of a page from its heading on, without what is to be clicked on or shown later.
fn paragraphs(page: &str) -> Vec<String> {
    const LEFT_OUT: [&str; 5] = ["button", "noscript", " hidden", "class=\"button", "class=\"reference\""];
    let Some((_, page)) = page.split_once("<h1") else { return Vec::new() };
    let Some((_, mut rest)) = page.split("</main>").next().unwrap_or(page).split_once('>') else {
        return Vec::new();
    };
    let (mut paragraphs, mut paragraph, mut is_left_out) = (Vec::new(), String::new(), false);
    while let Some((text, after)) = rest.split_once('<') {
        paragraph.push_str(text);
        let (tag, after) = after.split_once('>').unwrap_or((after, ""));
        is_left_out |= LEFT_OUT.iter().any(|mark| tag.contains(mark) && !tag.starts_with('/'));
        if ["/h1", "/p", "/li"].contains(&tag) {
            let words: Vec<&str> = paragraph.split_whitespace().collect();
            if !words.is_empty() && !is_left_out {
                paragraphs.push(unescaped(&words.join(" ")));
            }
            (paragraph, is_left_out) = (String::new(), false);
        }
        rest = after;
    }
    paragraphs
}

/// Text of HTML as a reader sees it.
fn unescaped(text: &str) -> String {
    let known =
        [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#x27;", "'"), ("&#x2f;", "/"), ("&amp;", "&")];
    known.iter().fold(text.to_owned(), |text, (written, meant)| text.replace(written, meant))
}

/// A field's value without what opens a door.
fn field<'a>(name: &HeaderName, value: &'a HeaderValue, site: Option<&Site>) -> Cow<'a, str> {
    let text = String::from_utf8_lossy(value.as_bytes());
    if *name == COOKIE {
        return cookies(&text).into();
    }
    if *name == SET_COOKIE {
        let (pair, attributes) = text.split_once(';').unwrap_or((&text, ""));
        return format!("{};{attributes}", cookies(pair)).into();
    }
    if *name == AUTHORIZATION || *name == PROXY_AUTHORIZATION {
        return text
            .split_once(' ')
            .map_or_else(|| "…".to_owned(), |(scheme, _)| format!("{scheme} …"))
            .into();
    }
    if *name == LOCATION {
        return address(&text).into();
    }
    if *name == SIGNATURE && text.starts_with(LABEL) {
        return format!("{LABEL}=:…:").into();
    }
    if site.and_then(|site| site.identity.jwt()).is_some_and(|jwt| jwt.field() == name) {
        return claims(&text).into();
    }
    printable(&text).into()
}

/// The names of cookies. That of an attempt ends in what is its own alone.
fn cookies(text: &str) -> String {
    let name = |pair: &str| {
        let Some((name, _)) = pair.trim().split_once('=') else { return "…".to_owned() };
        let name = name.find("member-login-").map_or(name, |at| &name[..at + "member-login-".len()]);
        format!("{}=…", printable(name))
    };
    text.split(';').map(name).collect::<Vec<_>>().join("; ")
}

/// What a JWT says, without its signature.
fn claims(jwt: &str) -> String {
    let claims = jwt.split('.').nth(1).and_then(|part| URL_SAFE_NO_PAD.decode(part).ok());
    let claims = claims.and_then(|bytes| String::from_utf8(bytes).ok());
    claims.map_or_else(|| "…".to_owned(), |claims| format!("… {} …", printable(&claims)))
}

/// An address without the values of parameters that are worth something, nor the password of a person.
pub(super) fn address(text: &str) -> String {
    let Some((place, query)) = text.split_once('?') else { return printable(text) };
    let parameter = |pair: &str| match pair.split_once('=') {
        Some((name, _)) if SECRET_PARAMETERS.contains(&name) => format!("{name}=…"),
        Some(_) | None => pair.to_owned(),
    };
    printable(&format!("{place}?{}", query.split('&').map(parameter).collect::<Vec<_>>().join("&")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(name: &'static str, value: &str) -> String {
        let value = HeaderValue::try_from(value).unwrap();
        field(&HeaderName::from_static(name), &value, None).into_owned()
    }

    #[test]
    fn what_opens_a_door_is_not_shown() {
        for (name, value, expected) in [
            ("cookie", "a=1; __Host-member-session=secret", "a=…; __Host-member-session=…"),
            ("cookie", "__Host-member-login-AbC=secret", "__Host-member-login-=…"),
            ("cookie", "secret; a=b", "…; a=…"),
            ("set-cookie", "a=secret; Path=/; HttpOnly", "a=…; Path=/; HttpOnly"),
            ("authorization", "Basic secret", "Basic …"),
            ("authorization", "Bearer a b", "Bearer …"),
            ("authorization", "secret", "…"),
            (
                "location",
                "https://v.example/?client_id=9&state=secret",
                "https://v.example/?client_id=9&state=…",
            ),
            ("signature", "member=:secret:", "member=:…:"),
            ("x-anything", "a\u{202e}b", "a\u{fffd}b"),
        ] {
            assert_eq!(shown(name, value), expected, "{name}: {value}");
        }
    }

    #[test]
    fn a_page_is_told_without_what_is_clicked_on() {
        let page = "<p>Site</p><h1 class=\"a\">No.</h1><p>One &amp;lt;\n two</p><ul><li>three</li></ul>\
                    <p><a class=\"button quiet\" href=\"/\">Front page</a></p><p hidden>later</p>\
                    <p class=\"contact\">Ask <a href=\"mailto:a\">a</a></p>\
                    <p class=\"reference\">Number <strong>AB</strong></p></main><p>below</p>";
        assert_eq!(paragraphs(page), ["No.", "One &lt; two", "three", "Ask a"]);
        for cut in 0..page.len() {
            paragraphs(&page[..cut]);
        }
    }

    #[test]
    fn a_jwt_shows_what_it_says_and_not_its_signature() {
        let body = URL_SAFE_NO_PAD.encode("{\"sub\":\"ymca/1\"}");
        assert_eq!(claims(&format!("aaaa.{body}.secret")), "… {\"sub\":\"ymca/1\"} …");
        assert_eq!(claims("secret"), "…");
    }
}
