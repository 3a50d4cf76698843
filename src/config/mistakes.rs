//! Mistakes: what is wrong with the meaning of a configuration, noted where it stands, so that all of it can be told
//! together. Reading a secret, a key, a duration or a size is here, since each of them can be a mistake.

use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use super::diagnostics::Problem;
use super::secret::{FileSecret, NoSecret, SecretText};
use super::structure::{Document, Path, Step};
use super::units;
use crate::secret::Secret;

/// The mistakes found so far, and where they stand.
pub(super) struct Mistakes<'a> {
    document: &'a Document,
    folder: &'a std::path::Path,
    lost: &'a [Path],
    found: Vec<Problem>,
    kept: Vec<Kept>,
}

/// Where a secret is kept that does not come from the environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The key for which it is, as an operator sees it.
    pub name: String,
    /// The file; nothing where it stands in the configuration itself.
    pub file: Option<PathBuf>,
}

impl<'a> Mistakes<'a> {
    /// None yet. `lost` are the places of what could not be read at all.
    pub(super) const fn new(document: &'a Document, folder: &'a std::path::Path, lost: &'a [Path]) -> Self {
        Self { document, folder, lost, found: Vec::new(), kept: Vec::new() }
    }

    /// All that were found.
    pub(super) fn into_problems(self) -> Vec<Problem> {
        self.found
    }

    /// Notes that the value at `path` is wrong.
    pub(super) fn note(&mut self, path: &Path, message: impl Into<String>, expected: &str) {
        self.push(path, expected, |span| Problem::new(span, message));
    }

    /// The same, with something to do about it.
    pub(super) fn note_with_help(
        &mut self,
        path: &Path,
        message: impl Into<String>,
        expected: &str,
        help: &str,
    ) {
        self.push(path, expected, |span| Problem::new(span, message).help(help));
    }

    fn push(&mut self, path: &Path, expected: &str, problem: impl FnOnce(Range<usize>) -> Problem) {
        if self.is_lost(path) {
            return;
        }
        let problem = problem(self.document.span_of(path));
        self.found.push(if expected.is_empty() { problem } else { problem.expecting(expected) });
    }

    /// Whether the file says something at `path` that could not be read, perhaps with a slip in the key: that has been
    /// noted, and whether it is there or what it says is not for anybody to complain of.
    pub(super) fn is_lost(&self, path: &Path) -> bool {
        let Some(Step::Key(key)) = path.steps().last() else { return false };
        let is_it = |lost: &&Path| match lost.steps().last() {
            // `client_ID` is `client_id` and not `client`.
            Some(Step::Key(written)) => {
                strsim::normalized_damerau_levenshtein(&written.to_ascii_lowercase(), key) >= 0.75
            }
            Some(Step::Index(_)) | None => false,
        };
        !self.document.has(path)
            && self.lost.iter().filter(|lost| lost.parent() == path.parent()).any(|lost| is_it(&lost))
    }

    /// Whether an entry of the table at `path` could not be read; that has been noted.
    pub(super) fn has_lost_of(&self, path: &Path) -> bool {
        self.lost.iter().any(|lost| lost.parent().as_ref() == Some(path))
    }

    /// Where relative paths start.
    pub(super) const fn folder(&self) -> &std::path::Path {
        self.folder
    }

    /// Whether the file says anything at `path`.
    pub(super) fn has(&self, path: &Path) -> bool {
        self.document.has(path)
    }

    /// Where in the file the value at `path` begins, if it is there.
    pub(super) fn position(&self, path: &Path) -> Option<usize> {
        self.document.has(path).then(|| self.document.key_span_of(path).start)
    }

    /// The name of a key or table as an operator sees it.
    pub(super) fn name(&self, path: &Path) -> String {
        self.document.name_of(path)
    }

    /// Where the secrets are kept that have been read.
    pub(super) fn take_kept(&mut self) -> Vec<Kept> {
        std::mem::take(&mut self.kept)
    }

    /// What has been read at `path` is nothing to keep from anybody.
    pub(super) fn is_no_secret(&mut self, path: &Path) {
        let name = self.name(path);
        self.kept.retain(|kept| kept.name != name);
    }

    pub(super) fn secret(&mut self, text: &SecretText, path: &Path) -> Option<Secret> {
        let file = match text {
            SecretText::Literal(_) => Some(None),
            SecretText::Env(_) => None,
            SecretText::File(FileSecret { file }) => Some(Some(self.file(file))),
        };
        self.kept.extend(file.map(|file| Kept { name: self.name(path), file }));
        match text.read(self.folder) {
            Ok(secret) => Some(secret),
            Err(error) => {
                let help = match error {
                    NoSecret::Env(_) => "set it where the gateway runs, and in this shell for `check`",
                    NoSecret::File { .. } => {
                        "the path starts at the folder of this file; the gateway has to be able to read it"
                    }
                    NoSecret::TooLarge(_) | NoSecret::Empty => "the secret itself, and nothing else",
                    NoSecret::Unexpanded => {
                        "write { env = \"NAME\" }; a secret that really reads so can stand in a file"
                    }
                };
                let message = format!("there is no secret for {}: {error}", self.name(path));
                self.note_with_help(path, message, "", help);
                None
            }
        }
    }

    /// Where a file stands that the configuration names.
    pub(super) fn file(&self, path: &str) -> PathBuf {
        self.folder.join(path)
    }

    /// A key as base64url without padding, or the bytes of a PEM file.
    pub(super) fn key(&mut self, text: &SecretText, path: &Path) -> Option<Secret> {
        use base64::Engine;
        let secret = self.secret(text, path)?;
        if secret.expose().starts_with(b"-----BEGIN") {
            return Some(secret);
        }
        match base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(secret.expose()) {
            Ok(bytes) => Some(Secret::new(bytes)),
            Err(_) => {
                self.note_with_help(
                    path,
                    "this key is not base64url without padding",
                    "43 characters of A-Z a-z 0-9 - _ for 32 bytes",
                    "`member-gateway keygen` prints a fresh key in the right form",
                );
                None
            }
        }
    }

    pub(super) fn duration(&mut self, text: Option<&String>, default: u64, path: &Path) -> Duration {
        let default = Duration::from_secs(default);
        let Some(text) = text else { return default };
        units::duration(text).unwrap_or_else(|| {
            self.note(
                path,
                "this is no duration",
                "a whole number and a unit: \"30s\", \"15m\", \"12h\" or \"7d\"",
            );
            default
        })
    }

    pub(super) fn size(&mut self, text: Option<&String>, default: usize, least: usize, path: &Path) -> usize {
        let Some(text) = text else { return default };
        match units::size(text) {
            Some(size) if size >= least => size,
            Some(_) => {
                self.note(path, "this is too small to be served with", &format!("at least {least} bytes"));
                default
            }
            None => {
                self.note(
                    path,
                    "this is no size",
                    "a whole number and a unit: \"512B\", \"64KiB\" or \"1MiB\"",
                );
                default
            }
        }
    }
}
