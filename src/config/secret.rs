//! Secrets: literal, from the environment or from a file. What one is for is none of this file's business.

use std::path::Path;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::secret::Secret;

/// More than any key, password or token.
const MOST: u64 = 64 * 1024;

/// A secret: the text itself, `{ env = "NAME" }` or `{ file = "PATH" }`. One newline at its end is not part of it.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum SecretText {
    /// The secret itself.
    Literal(String),
    /// From the environment.
    Env(EnvSecret),
    /// From a file.
    File(FileSecret),
}

/// A secret from the environment.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EnvSecret {
    /// Name of an environment variable.
    pub env: String,
}

/// A secret from a file.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileSecret {
    /// Path of a file, relative to the configuration file.
    #[schemars(extend("x-secret" = false))]
    pub file: String,
}

impl std::fmt::Debug for SecretText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Literal(_) => f.write_str("[redacted]"),
            Self::Env(EnvSecret { env }) => write!(f, "env {env}"),
            Self::File(FileSecret { file }) => write!(f, "file {file}"),
        }
    }
}

/// Why there is no secret where one is named.
#[derive(Debug, thiserror::Error)]
pub enum NoSecret {
    /// The variable is not set, or not text.
    #[error("the environment variable {0} is not set")]
    Env(String),
    /// The file cannot be read.
    #[error("the file {path} cannot be read: {source}")]
    File {
        /// Which file.
        path: String,
        /// Why not.
        source: std::io::Error,
    },
    /// The file is too large to be a secret.
    #[error("the file {0} is larger than 64 KiB, so it is no secret of ours")]
    TooLarge(String),
    /// There is nothing in it.
    #[error("it is empty")]
    Empty,
    /// The text is what a shell would replace, and nobody here does.
    #[error("this text is a variable as a shell knows it, and would be taken for the secret itself")]
    Unexpanded,
}

impl SecretText {
    /// The secret itself; relative paths start at `folder`.
    ///
    /// # Errors
    /// [`NoSecret`] where it is not there.
    pub fn read(&self, folder: &Path) -> Result<Secret, NoSecret> {
        let mut bytes = match self {
            Self::Literal(text) if is_unexpanded(text) => return Err(NoSecret::Unexpanded),
            Self::Literal(text) => text.clone().into_bytes(),
            Self::Env(EnvSecret { env }) => from_environment(env)?.into_bytes(),
            Self::File(FileSecret { file }) => from_file(&folder.join(file))?,
        };
        if bytes.last() == Some(&b'\n') {
            bytes.pop();
            if bytes.last() == Some(&b'\r') {
                bytes.pop();
            }
        }
        if bytes.is_empty() { Err(NoSecret::Empty) } else { Ok(Secret::new(bytes)) }
    }
}

/// Whether a text is `$NAME` or `${NAME}`. A secret that really reads so can stand in a file.
fn is_unexpanded(text: &str) -> bool {
    let Some(name) = text.trim().strip_prefix('$') else { return false };
    let name = name.strip_prefix('{').and_then(|name| name.strip_suffix('}')).unwrap_or(name);
    name.starts_with(|c: char| c.is_ascii_uppercase())
        && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
}

#[expect(clippy::disallowed_methods, reason = "this is the one place")]
fn from_environment(name: &str) -> Result<String, NoSecret> {
    std::env::var(name).map_err(|_| NoSecret::Env(name.to_owned()))
}

fn from_file(path: &Path) -> Result<Vec<u8>, NoSecret> {
    use std::io::Read;
    let failed = |source| NoSecret::File { path: path.display().to_string(), source };
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    file.take(MOST + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > MOST { Err(NoSecret::TooLarge(path.display().to_string())) } else { Ok(bytes) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_newline_at_the_end_is_not_part_of_a_secret() {
        for (text, secret) in [("a", "a"), ("a\n", "a"), ("a\r\n", "a"), ("a\n\n", "a\n"), ("a ", "a ")] {
            let read = SecretText::Literal(text.to_owned()).read(Path::new("/")).unwrap();
            assert_eq!(read, Secret::new(secret), "{text:?}");
        }
        assert!(matches!(SecretText::Literal("\n".to_owned()).read(Path::new("/")), Err(NoSecret::Empty)));
    }

    #[test]
    fn a_file_is_looked_for_beside_the_configuration() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("token"), "swordfish\n").unwrap();
        let secret = |file: &str| SecretText::File(FileSecret { file: file.to_owned() }).read(folder.path());
        assert_eq!(secret("token").unwrap(), Secret::new("swordfish"));
        assert!(secret("other").unwrap_err().to_string().contains("other cannot be read"));
        std::fs::write(folder.path().join("large"), vec![b'x'; 70_000]).unwrap();
        assert!(matches!(secret("large"), Err(NoSecret::TooLarge(_))));
    }

    #[test]
    fn a_variable_of_a_shell_is_not_taken_for_a_secret() {
        let read = |text: &str| SecretText::Literal(text.to_owned()).read(Path::new("/"));
        for text in ["$DAXKO_PASSWORD", "${DAXKO_PASSWORD}"] {
            assert!(matches!(read(text), Err(NoSecret::Unexpanded)), "{text:?}");
        }
        for text in ["$", "$2y$10$abc", "pa$WORD", "$ecret", "${}"] {
            assert_eq!(read(text).unwrap(), Secret::new(text), "{text:?}");
        }
    }

    #[test]
    fn a_secret_text_does_not_print_what_it_holds() {
        assert_eq!(format!("{:?}", SecretText::Literal("swordfish".to_owned())), "[redacted]");
    }
}
