//! TLS that the gateway speaks as a client: the files of whom it believes and of what it shows, for apps and for Redis.

use std::io::Read;

use super::mistakes::Mistakes;
use super::structure::Path;
use crate::secret::Secret;
use crate::upstream::tls::{self, Tls, Unusable};

/// More than any file of certificates.
const MOST_PEM: u64 = 1024 * 1024;

/// Where they are.
#[derive(Clone, Copy, Default)]
pub(super) struct Files<'a> {
    pub(super) ca: Option<&'a String>,
    pub(super) cert: Option<&'a String>,
    pub(super) key: Option<&'a String>,
}

/// What they hold; nothing where one of them cannot be read, or a certificate has no key.
pub(super) fn written(files: &Files<'_>, path: &Path, mistakes: &mut Mistakes<'_>) -> Option<tls::Written> {
    let mut read = |name: &str, file: Option<&String>| match file {
        Some(file) => pem(file, &path.key(name), mistakes).map(Some),
        None => Some(None),
    };
    let (ca, cert, key) = (read("ca", files.ca), read("cert", files.cert), read("key", files.key));
    let certificate = match (cert?, key?) {
        (Some(cert), Some(key)) => Some((cert, Secret::new(key))),
        (None, None) => None,
        (Some(_), None) => {
            mistakes.note(&path.key("cert"), "the key of this certificate is missing", "`key` beside `cert`");
            return None;
        }
        (None, Some(_)) => {
            mistakes.note(&path.key("key"), "the certificate of this key is missing", "`cert` beside `key`");
            return None;
        }
    };
    Some(tls::Written { ca: ca?, certificate, server_name: None })
}

/// The TLS that they make.
pub(super) fn made(written: tls::Written, path: &Path, mistakes: &mut Mistakes<'_>) -> Option<Tls> {
    Tls::new(written)
        .map_err(|error| {
            let (key, help) = match error {
                Unusable::Authorities => {
                    ("ca", "it begins with -----BEGIN CERTIFICATE-----, one block for each authority")
                }
                Unusable::Certificate => (
                    "cert",
                    "it begins with -----BEGIN CERTIFICATE-----, and those that lead to its root follow",
                ),
                Unusable::Key => {
                    ("key", "it holds a line that ends with PRIVATE KEY-----, and no passphrase")
                }
                Unusable::Pair => ("key", "was one of the two files renewed without the other?"),
                Unusable::Name => ("server_name", "the name that the upstream's certificate bears"),
            };
            mistakes.note_with_help(&path.key(key), error.to_string(), "", help);
        })
        .ok()
}

/// The contents of a PEM file.
fn pem(file: &str, path: &Path, mistakes: &mut Mistakes<'_>) -> Option<Vec<u8>> {
    // What was pasted here is not repeated.
    if file.contains("-----BEGIN") || file.contains('\n') {
        mistakes.note(path, "this is what should be in a file", "the path of a PEM file");
        return None;
    }
    let mut text = Vec::new();
    let opened = std::fs::File::open(mistakes.file(file));
    match opened.and_then(|file| file.take(MOST_PEM).read_to_end(&mut text)) {
        Ok(_) => Some(text),
        Err(error) => {
            let help = "the path starts at the folder of this file; the gateway has to be able to read it";
            mistakes.note_with_help(path, format!("the file cannot be read: {error}"), "", help);
            None
        }
    }
}
