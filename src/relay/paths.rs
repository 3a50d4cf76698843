//! Which paths of the API are open, and what is written down of them.
//!
//! We do not know how the vendor reads a path, so every [reading](Readings) of it has to be open. Answers of the token
//! endpoints hold tokens; a pattern opens one of these only by its name, and never because it is wide. Paths hold ids of
//! people, so of a path only its shape is written down: the words that are known, and `*` for all else.

use std::collections::HashSet;

use crate::route::path::Readings;
use crate::route::pattern::Pattern;

/// Where tokens are handed out, in any version of the API.
const TOKEN_ENDPOINTS: [&str; 3] = ["/*/partners/oauth2/**", "/*/members/oauth2/**", "/auth/**"];
/// Words of the public API (<https://api.daxko.com/v3/docs/api>).
const WORDS: [&str; 22] = [
    "areas",
    "auth",
    "checkin",
    "classes",
    "facilities",
    "instructors",
    "locations",
    "me",
    "members",
    "oauth2",
    "offerings",
    "partners",
    "programs",
    "reservations",
    "schedules",
    "sessions",
    "settings",
    "token",
    "units",
    "v1",
    "v3",
    "virtualbranch",
];

/// What is open, and what is guarded beyond that.
#[derive(Clone, Debug)]
pub struct Paths {
    open: Vec<Pattern>,
    token_endpoints: Vec<Pattern>,
    /// What may be written down of a path.
    words: HashSet<Vec<u8>>,
}

/// Why a path is not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Closed {
    /// It holds dot segments, or can be read in too many ways.
    #[error("the path can be read in more than one way")]
    Unreadable,
    /// Answers there hold tokens.
    #[error("answers at this path hold tokens, and `api_paths` does not name it")]
    TokenEndpoint,
    /// No pattern matches it.
    #[error("`api_paths` does not open this path")]
    NotListed,
}

impl Paths {
    /// Opens what these patterns match. `token_paths` hand out tokens, too.
    pub fn new<'a>(open: Vec<Pattern>, token_paths: impl Iterator<Item = &'a str>) -> Self {
        let token_endpoints = TOKEN_ENDPOINTS.into_iter().chain(token_paths);
        let written = open.iter().map(ToString::to_string).collect::<Vec<_>>();
        let of_patterns = written.iter().flat_map(|pattern| pattern.split('/'));
        let words = of_patterns.filter(|word| !word.is_empty() && !word.contains('*')).chain(WORDS);
        Self {
            words: words.map(|word| word.as_bytes().to_vec()).collect(),
            token_endpoints: token_endpoints.filter_map(|text| Pattern::parse(text).ok()).collect(),
            open,
        }
    }

    /// What is open, as it was written.
    pub fn open(&self) -> impl Iterator<Item = &Pattern> {
        self.open.iter()
    }

    /// Whether a path is open in all its readings.
    ///
    /// # Errors
    /// [`Closed`] where it is not.
    pub fn admit(&self, path: &[u8]) -> Result<(), Closed> {
        let readings = Readings::of(path).map_err(|_| Closed::Unreadable)?;
        let opened: Vec<Result<(), Closed>> = readings.iter().map(|reading| self.opens(reading)).collect();
        // What is worst is said, so that nobody takes it for a slip in the list.
        match opened.iter().find(|opened| **opened == Err(Closed::TokenEndpoint)) {
            Some(closed) => *closed,
            None => opened.into_iter().collect(),
        }
    }

    fn opens(&self, reading: &[u8]) -> Result<(), Closed> {
        // Letters in another case are another path to the list, and may be none to the vendor.
        let guards: Vec<&Pattern> =
            self.token_endpoints.iter().filter(|guard| guard.matches(reading, true)).collect();
        let names = |pattern: &Pattern| guards.iter().all(|guard| guard.covers(pattern, true));
        if self.open.iter().any(|pattern| pattern.matches(reading, false) && names(pattern)) {
            // Whatever they lead to, it would be judged before it is known, and below a base it may lead out of it.
            let mut segments = reading.split(|&byte| byte == b'/');
            let has_dots = segments.any(|segment| matches!(segment, b"." | b".."));
            return if has_dots { Err(Closed::Unreadable) } else { Ok(()) };
        }
        Err(if guards.is_empty() { Closed::NotListed } else { Closed::TokenEndpoint })
    }

    /// A path without what it says of anybody.
    #[must_use]
    pub fn shape(&self, path: &[u8]) -> String {
        let mut shape = String::new();
        // Longer than any path of the API.
        for segment in path.split(|&byte| byte == b'/').skip(1).take(12) {
            let known = self.words.contains(segment).then(|| str::from_utf8(segment).unwrap_or("*"));
            shape.push('/');
            shape.push_str(known.unwrap_or(if segment.is_empty() { "" } else { "*" }));
        }
        shape
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(open: &[&str]) -> Paths {
        let open = open.iter().map(|text| Pattern::parse(text).unwrap()).collect();
        Paths::new(open, std::iter::once("/v3/own/token"))
    }

    #[test]
    fn a_path_is_open_where_all_its_readings_are() {
        let paths = paths(&["/v3/members/**", "/v3/units/*"]);
        for path in ["/v3/members/400007995-00", "/v3/members", "/v3/units/4", "/v3/members/a%40b.example"] {
            assert_eq!(paths.admit(path.as_bytes()), Ok(()), "{path}");
        }
        for path in ["/", "/v3", "/v3/units/4/5", "/V3/members/4", "/v3/members%2f..%2funits/4/5", "*", ""] {
            assert!(paths.admit(path.as_bytes()).is_err(), "{path}");
        }
        for path in
            ["/v3/members/../units/4", "/v3/members/%2e%2e/units/4", "/v3/members/.", "/v3/members/..%5c4"]
        {
            assert!(paths.admit(path.as_bytes()).is_err(), "{path}");
        }
    }

    #[test]
    fn a_token_endpoint_is_opened_by_its_name_and_not_by_a_wide_pattern() {
        let wide = paths(&["/**", "/v3/**", "/*/members/**", "/v3/partners/**"]);
        let named = paths(&["/v3/partners/oauth2/members/settings", "/v3/**"]);
        for path in [
            "/v3/partners/oauth2/token",
            "/v3/partners/oauth2/members/settings",
            "/v3/members/oauth2/token",
            "/v3/members/oauth2",
            "/v1/partners/oauth2/token",
            "/auth/token",
            "/v3/own/token",
            "/V3/Partners/OAuth2/Token",
        ] {
            assert_eq!(wide.admit(path.as_bytes()), Err(Closed::TokenEndpoint), "{path}");
            let expected = path.ends_with("settings");
            assert_eq!(named.admit(path.as_bytes()).is_ok(), expected, "{path}");
        }
    }

    #[test]
    fn what_is_written_down_of_a_path_are_known_words() {
        let paths = paths(&["/v3/members/**", "/v3/family-plans/*"]);
        for (path, shape) in [
            ("/v3/members/400007995-00", "/v3/members/*"),
            ("/v3/members/haddad", "/v3/members/*"),
            ("/v3/members/400007995-00/photos/", "/v3/members/*/*/"),
            ("/v3/family-plans/7", "/v3/family-plans/*"),
            ("/v3/%6dembers/7", "/v3/*/*"),
            ("", ""),
        ] {
            assert_eq!(paths.shape(path.as_bytes()), shape);
        }
    }
}
