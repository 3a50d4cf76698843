//! `[server.tls]`: certificates and their keys, and what an operator should know of them.

use http::HeaderValue;

use super::assemble::at;
use super::mistakes::Mistakes;
use super::structure::Path;
use super::{CertificateTable, Config, units};
use crate::route::{Origin, Scheme};
use crate::server::tls::{Certificate, Files, Tls, Unusable};
use crate::server::{Entrance, Listen};
use crate::time::UnixTime;

/// The certificates; nothing where there are none, or one of them is wrong.
pub(super) fn tls(config: &Config, mistakes: &mut Mistakes<'_>) -> Option<Tls> {
    let table = config.server.tls.as_ref()?;
    let path = at(["server", "tls", "certificates"]);
    if table.certificates.is_empty() {
        let expected = "{ cert = \"tls/site.pem\", key = \"tls/site.key\" }";
        mistakes.note(&path, "there is no certificate", expected);
        return None;
    }
    let read = table.certificates.iter().enumerate();
    let read: Vec<_> = read.map(|(index, table)| certificate(table, &path.index(index), mistakes)).collect();
    let certificates = read.into_iter().collect::<Option<Vec<_>>>()?;
    match Tls::new(certificates) {
        Ok(tls) => Some(tls),
        Err(error) => {
            mistakes.note(&path, format!("TLS cannot be set up: {error}"), "");
            None
        }
    }
}

fn certificate(table: &CertificateTable, path: &Path, mistakes: &mut Mistakes<'_>) -> Option<Certificate> {
    let mut pasted = false;
    for (name, text) in [("cert", &table.cert), ("key", &table.key)] {
        // What was pasted here is not repeated.
        if text.contains("-----BEGIN") || text.contains('\n') {
            let message = "this is what should be in a file";
            mistakes.note(&path.key(name), message, "the path of a PEM file");
            pasted = true;
        }
    }
    if pasted {
        return None;
    }
    let files = Files { certificate: mistakes.file(&table.cert), key: mistakes.file(&table.key) };
    Certificate::read(&files).map_err(|error| note(&error, path, mistakes)).ok()
}

fn note(error: &Unusable, path: &Path, mistakes: &mut Mistakes<'_>) {
    let path = path.key(if error.is_about_the_key() { "key" } else { "cert" });
    let help = match error {
        Unusable::CertificateFile(_) | Unusable::KeyFile(_) => {
            "the path starts at the folder of this file; the gateway has to be able to read it"
        }
        Unusable::NoCertificate | Unusable::Certificate => {
            "it begins with -----BEGIN CERTIFICATE-----: that of the site first, then those that lead to its root"
        }
        Unusable::NoKey => "it holds a line that begins with -----BEGIN and ends with PRIVATE KEY-----",
        Unusable::EncryptedKey => {
            "nobody is there to type a passphrase: `openssl pkey -in … -out …` writes the key without one"
        }
        Unusable::Key => "ECDSA on P-256, P-384 or P-521, Ed25519, or RSA of 2048 bits and more",
        Unusable::OtherKey => "was one of the two files renewed without the other?",
    };
    mistakes.note_with_help(&path, error.to_string(), "", help);
}

/// `Strict-Transport-Security`
pub(super) fn hsts(config: &Config, mistakes: &mut Mistakes<'_>) -> Option<HeaderValue> {
    let text = config.server.tls.as_ref()?.hsts.as_ref()?;
    // The one place where no time at all means something: browsers forget what they were told (RFC 6797 §6.1.1).
    let seconds = if text == "0s" { Some(0) } else { units::duration(text).map(|time| time.as_secs()) };
    if seconds.is_none() {
        let expected = "\"1h\", \"30d\" or \"365d\"; \"0s\" takes it back";
        mistakes.note(&at(["server", "tls", "hsts"]), "this is no duration", expected);
    }
    HeaderValue::try_from(format!("max-age={}", seconds?)).ok()
}

/// What is legal and probably not meant.
pub(super) fn warn(
    tls: &Tls,
    listen: &[Listen],
    origins: &[Origin],
    now: UnixTime,
    warnings: &mut Vec<String>,
) {
    let certificates = tls.certificates();
    for certificate in &certificates {
        let file = certificate.files.certificate.display();
        if certificate.has_expired_at(now) {
            warnings.push(format!("{file}: this certificate has expired: browsers will not go on"));
        } else if certificate.is_early_at(now) {
            warnings.push(format!("{file}: this certificate does not hold yet: browsers will not go on"));
        }
    }
    if !listen.iter().any(|listen| listen.door.entrance() == Entrance::Tls) {
        warnings.push("[server.tls] is not used: every address of `listen` says otherwise".to_owned());
        return;
    }
    let speaks_http = listen.iter().any(|listen| listen.door.entrance() == Entrance::Plain);
    for origin in origins {
        let site = origin.as_str();
        match origin.scheme() {
            Scheme::Https if !certificates.iter().any(|certificate| certificate.covers(origin.host())) => {
                warnings.push(format!("{site}: no certificate in [server.tls] bears this name"));
            }
            Scheme::Http if !speaks_http => {
                warnings.push(format!("{site}: no address of `listen` speaks plain HTTP"));
            }
            Scheme::Https | Scheme::Http => {}
        }
    }
}
