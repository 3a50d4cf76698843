//! A target: one of the addresses at which an upstream can be reached.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use crate::route;

/// Where one process of an app listens, and what is spoken there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    place: Place,
    /// TLS is spoken.
    secure: bool,
    /// As the operator wrote it.
    text: String,
}

/// Where a connection leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// An address that needs no looking up.
    Address(SocketAddr),
    /// A name that is looked up, and a port.
    Name(String, u16),
    /// A Unix socket.
    Path(PathBuf),
}

/// Why a text names no target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoTarget {
    /// It is none of the three forms.
    #[error("this is no upstream")]
    Form,
    /// The path of a Unix socket is missing, or relative: the gateway's folder is not always the config's.
    #[error("the path of a Unix socket begins with a slash")]
    RelativePath,
}

impl Target {
    /// Reads `http://host:port`, `https://host:port` or `unix:/path`.
    ///
    /// # Errors
    /// [`NoTarget`] says what it is instead.
    pub fn parse(text: &str) -> Result<Self, NoTarget> {
        if let Some(path) = text.strip_prefix("unix:") {
            let is_path = path.starts_with('/') && !path.ends_with('/') && !path.contains('\0');
            let place = is_path.then(|| Place::Path(path.into())).ok_or(NoTarget::RelativePath)?;
            return Ok(Self { place, secure: false, text: text.to_owned() });
        }
        let (secure, rest) = match (text.strip_prefix("http://"), text.strip_prefix("https://")) {
            (Some(rest), _) => (false, rest),
            (None, Some(rest)) => (true, rest),
            (None, None) => return Err(NoTarget::Form),
        };
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = route::host_and_port(authority.as_bytes()).ok_or(NoTarget::Form)?;
        let port = port.unwrap_or(if secure { 443 } else { 80 });
        let place = match bare(host).parse::<IpAddr>() {
            Ok(address) => Place::Address((address, port).into()),
            Err(_) => Place::Name(host.to_owned(), port),
        };
        Ok(Self { place, secure, text: text.to_owned() })
    }

    /// Plain HTTP at an address.
    #[must_use]
    pub fn plain(address: SocketAddr) -> Self {
        Self { place: Place::Address(address), secure: false, text: format!("http://{address}") }
    }

    /// Where it is.
    #[must_use]
    pub const fn place(&self) -> &Place {
        &self.place
    }

    /// Whether TLS is spoken there.
    #[must_use]
    pub const fn is_secure(&self) -> bool {
        self.secure
    }

    /// Host and port, where it has any.
    #[must_use]
    pub fn host_and_port(&self) -> Option<(String, u16)> {
        match &self.place {
            Place::Address(address) => Some((address.ip().to_string(), address.port())),
            Place::Name(host, port) => Some((host.clone(), *port)),
            Place::Path(_) => None,
        }
    }

    /// As the operator wrote it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A host without the brackets of an IPv6 address.
fn bare(host: &str) -> &str {
    host.trim_start_matches('[').trim_end_matches(']')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_a_scheme_with_host_and_port_or_the_path_of_a_socket() {
        for (text, secure, place) in [
            ("http://127.0.0.1:3000", false, Place::Address("127.0.0.1:3000".parse().unwrap())),
            ("http://[::1]:3000/", false, Place::Address("[::1]:3000".parse().unwrap())),
            ("http://app", false, Place::Name("app".to_owned(), 80)),
            ("https://app.internal", true, Place::Name("app.internal".to_owned(), 443)),
            ("unix:/run/app.sock", false, Place::Path("/run/app.sock".into())),
        ] {
            let target = Target::parse(text).unwrap();
            assert_eq!((target.place(), target.is_secure(), target.as_str()), (&place, secure, text));
        }
    }

    #[test]
    fn anything_else_is_none() {
        for text in ["", "app:80", "ftp://app", "http://", "http://app/path", "http://user@app", "HTTP://app"]
        {
            assert_eq!(Target::parse(text), Err(NoTarget::Form), "{text}");
        }
        for text in ["unix:", "unix:run/app.sock", "unix:/", "unix:/run/\0"] {
            assert_eq!(Target::parse(text), Err(NoTarget::RelativePath), "{text}");
        }
    }
}
