//! What Daxko's parameters mean beyond their names.

use super::refusal::Refusal;
use crate::sandbox::parameters::Malformed;
pub(super) use crate::sandbox::parameters::{Parameters, segment};

impl From<Malformed> for Refusal {
    fn from(Malformed(rule): Malformed) -> Self {
        Self::oauth("invalid_request", rule)
    }
}

/// The one client that a scope names, its `name:value` pairs being separated by spaces. Nothing where there is none,
/// or more than one: one token serves one client.
pub(super) fn client_of_scope(scope: &str) -> Option<u64> {
    let mut numbers = scope.split(' ').filter_map(|pair| pair.strip_prefix("client:"));
    let number = numbers.next().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    number.and_then(|text| text.parse().ok()).filter(|_| numbers.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_names_one_client() {
        assert_eq!(client_of_scope("client:4711 member:basic_info"), Some(4711));
        assert_eq!(client_of_scope("member:basic_info client:4711"), Some(4711));
        for scope in
            ["", "client:", "client:x", "client:+4711", "client:1 client:2", "client:4711+member:basic_info"]
        {
            assert_eq!(client_of_scope(scope), None, "{scope:?}");
        }
    }
}
