//! Access rules: the first that matches a request says what it takes to get through.

use http::Method;

use super::index::Index;
use super::path::Readings;
use super::pattern::Pattern;
use crate::member::Member;

/// What it takes to reach the upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Nothing; whoever asks stays unknown to the upstream.
    Public,
    /// Nothing; a member who is known is made known to the upstream.
    Optional,
    /// A session.
    Member,
    /// Nobody gets through.
    Deny,
}

/// What a stranger gets where a session is needed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unauthenticated {
    /// Navigations go to the login, everything else gets 401.
    #[default]
    Auto,
    /// Always the login.
    Login,
    /// Always 401.
    Status401,
}

/// Who among the members gets through. A list that is not given lets everyone pass.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allow {
    /// These persons.
    pub member_id: Option<Vec<String>>,
    /// These units.
    pub member_unit_id: Option<Vec<String>>,
    /// Members of these providers.
    pub provider: Option<Vec<String>>,
}

impl Allow {
    /// Whether every list that is given names the member.
    #[must_use]
    pub fn admits(&self, member: &Member) -> bool {
        named(self.member_id.as_ref(), || member.id.as_str())
            && named(self.member_unit_id.as_ref(), || member.unit_id.as_str())
            && named(self.provider.as_ref(), || member.provider.as_str())
    }
}

fn named<'a>(list: Option<&Vec<String>>, text: impl FnOnce() -> &'a str) -> bool {
    let Some(list) = list else { return true };
    let text = text();
    list.iter().any(|entry| entry == text)
}

/// One rule of a site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The paths it is about.
    pub pattern: Pattern,
    /// The methods it is about; none means all.
    pub methods: Option<Vec<Method>>,
    /// What it takes to get through.
    pub access: Access,
    /// What a stranger gets.
    pub unauthenticated: Unauthenticated,
    /// Which members get through.
    pub allow: Allow,
    /// Further origins from which a WebSocket handshake is accepted.
    pub origins: Vec<String>,
}

/// The rules of a site, in the order of the config, and behind them the one that asks for a session everywhere.
#[derive(Clone, Debug)]
pub struct Rules {
    rules: Vec<Rule>,
    index: Index,
    ignore_case: bool,
}

/// The path's readings fall under different rules: what is public to one may be private to the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the path can be read in several ways that fall under different rules")]
pub struct Ambiguous;

impl Rules {
    /// Rules in their order.
    ///
    /// # Panics
    /// Never: the pattern of the last rule is a constant.
    #[must_use]
    pub fn new(mut rules: Vec<Rule>, ignore_case: bool) -> Self {
        rules.push(Rule {
            pattern: Pattern::parse("/**").expect("a pattern"),
            methods: None,
            access: Access::Member,
            unauthenticated: Unauthenticated::Auto,
            allow: Allow::default(),
            origins: Vec::new(),
        });
        let index = Index::new(rules.iter().map(|rule| &rule.pattern), ignore_case);
        Self { rules, index, ignore_case }
    }

    /// Whether paths are read regardless of case.
    #[must_use]
    pub const fn ignore_case(&self) -> bool {
        self.ignore_case
    }

    /// The one rule under which all readings of the path fall.
    ///
    /// # Errors
    /// [`Ambiguous`] where there is more than one.
    ///
    /// # Panics
    /// Never: the last rule matches every request.
    pub fn find(&self, method: &Method, readings: &Readings<'_>) -> Result<&Rule, Ambiguous> {
        let mut found = readings.iter().map(|path| self.first_match(method, path));
        let first = found.next().expect("a path has at least the reading that came");
        if found.all(|other| std::ptr::eq(first, other)) { Ok(first) } else { Err(Ambiguous) }
    }

    /// The rules that no request can come to, each with the earlier one that takes all of its requests; by their places
    /// in the config.
    pub fn unreachable(&self) -> impl Iterator<Item = (usize, usize)> {
        let written = &self.rules[..self.rules.len() - 1];
        written.iter().enumerate().filter_map(move |(index, rule)| {
            let taken_by = written[..index].iter().position(|earlier| self.takes_all_of(earlier, rule))?;
            Some((index, taken_by))
        })
    }

    fn takes_all_of(&self, earlier: &Rule, rule: &Rule) -> bool {
        let methods = earlier.methods.as_ref().is_none_or(|methods| {
            rule.methods.as_ref().is_some_and(|others| others.iter().all(|other| methods.contains(other)))
        });
        methods && earlier.pattern.covers(&rule.pattern, self.ignore_case)
    }

    /// Which of them a rule is, counted from zero in the order of the config; nothing for the last one, which is ours.
    #[must_use]
    pub fn place_of(&self, rule: &Rule) -> Option<usize> {
        let place = self.rules.element_offset(rule)?;
        (place + 1 < self.rules.len()).then_some(place)
    }

    /// The rules of the config, in its order.
    #[must_use]
    pub fn written(&self) -> &[Rule] {
        &self.rules[..self.rules.len() - 1]
    }

    /// The rule under which one reading of a path falls.
    ///
    /// # Panics
    /// As [`Rules::find`].
    #[must_use]
    pub fn first_match(&self, method: &Method, path: &[u8]) -> &Rule {
        let matches =
            |place: usize| self.rules.get(place).is_some_and(|rule| self.matches(rule, method, path));
        let last = self.rules.last().expect("the last rule is always there");
        self.index.first(path, matches).and_then(|place| self.rules.get(place)).unwrap_or(last)
    }

    fn matches(&self, rule: &Rule, method: &Method, path: &[u8]) -> bool {
        rule.methods.as_ref().is_none_or(|methods| methods.contains(method))
            && rule.pattern.matches(path, self.ignore_case)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::member::{MemberId, MemberUnitId, Profile, ProviderName};

    fn rule(path: &str, access: Access) -> Rule {
        Rule {
            access,
            pattern: Pattern::parse(path).unwrap(),
            ..Rules::new(Vec::new(), false).rules.remove(0)
        }
    }

    fn access(rules: &Rules, method: &Method, path: &str) -> Result<Access, Ambiguous> {
        let readings = Readings::of(path.as_bytes()).unwrap();
        rules.find(method, &readings).map(|rule| rule.access)
    }

    #[test]
    fn the_first_match_wins_and_no_match_asks_for_a_session() {
        let rules =
            Rules::new(vec![rule("/assets/secret", Access::Deny), rule("/assets/**", Access::Public)], false);
        for (path, expected) in [
            ("/assets/a.css", Access::Public),
            ("/assets/secret", Access::Deny),
            ("/assets", Access::Public),
            ("/assetsx", Access::Member),
            ("/", Access::Member),
        ] {
            assert_eq!(access(&rules, &Method::GET, path), Ok(expected), "{path}");
        }
    }

    #[test]
    fn a_rule_for_some_methods_leaves_the_others_to_the_next() {
        let read = Rule { methods: Some(vec![Method::GET, Method::HEAD]), ..rule("/**", Access::Public) };
        let rules = Rules::new(vec![read], false);
        assert_eq!(access(&rules, &Method::HEAD, "/a"), Ok(Access::Public));
        assert_eq!(access(&rules, &Method::POST, "/a"), Ok(Access::Member));
    }

    proptest::proptest! {
        #[test]
        fn the_rule_found_is_the_first_that_matches_in_the_order_of_the_config(
            written in proptest::collection::vec(
                ("(/(a|b|A|ab|\\*|a\\*|\\*b)){1,4}(/\\*\\*|/)?|/|/\\*\\*", proptest::option::of(0..2_usize)),
                0..12,
            ),
            path in "(/(a|b|A|B|ab|aXb|c|)){0,5}|a",
            is_get: bool,
            ignore_case: bool,
        ) {
            let methods = [Method::GET, Method::POST];
            let rules: Vec<Rule> = written
                .into_iter()
                .map(|(pattern, only)| Rule {
                    methods: only.map(|only| vec![methods[only].clone()]),
                    ..rule(&pattern, Access::Public)
                })
                .collect();
            let rules = Rules::new(rules, ignore_case);
            let method = if is_get { &Method::GET } else { &Method::POST };
            let last = rules.rules.last().unwrap();
            let expected =
                rules.rules.iter().find(|rule| rules.matches(rule, method, path.as_bytes())).unwrap_or(last);
            proptest::prop_assert!(std::ptr::eq(rules.first_match(method, path.as_bytes()), expected));
        }
    }

    #[test]
    fn a_rule_behind_a_wider_one_for_the_same_methods_is_out_of_reach() {
        let get = |path| Rule { methods: Some(vec![Method::GET]), ..rule(path, Access::Public) };
        let unreachable =
            |rules: Vec<Rule>| Rules::new(rules, false).unreachable().collect::<Vec<(usize, usize)>>();
        assert_eq!(unreachable(vec![rule("/a/**", Access::Public), rule("/a/b", Access::Deny)]), [(1, 0)]);
        assert_eq!(unreachable(vec![rule("/a/**", Access::Public), get("/a/b")]), [(1, 0)]);
        assert_eq!(unreachable(vec![get("/a/**"), get("/b"), get("/a/b")]), [(2, 0)]);
        for reachable in [
            vec![rule("/a/b", Access::Deny), rule("/a/**", Access::Public)],
            vec![get("/a/**"), rule("/a/b", Access::Deny)],
            vec![rule("/**", Access::Public)],
            vec![rule("/a", Access::Public), rule("/a/", Access::Public), rule("/A", Access::Public)],
        ] {
            assert_eq!(unreachable(reachable.clone()), [], "{reachable:?}");
        }
    }

    #[test]
    fn a_path_that_is_public_in_one_reading_and_not_in_another_is_refused() {
        let rules = Rules::new(vec![rule("/pub/**", Access::Public)], false);
        for path in [
            "/pub/../admin",
            "/pub/%2e%2e/admin",
            "/pub/..;/admin",
            "/admin/..%2fpub",
            "//pub",
            "/pub%2f../x",
        ] {
            assert_eq!(access(&rules, &Method::GET, path), Err(Ambiguous), "{path}");
        }
        assert_eq!(access(&rules, &Method::GET, "/pub/a%20b;c"), Ok(Access::Public));
        assert_eq!(access(&rules, &Method::GET, "/other/%2e%2e/x"), Ok(Access::Member));
    }

    #[test]
    fn allow_lets_through_whom_every_given_list_names() {
        let member = Member {
            provider: ProviderName::new("ymca").unwrap(),
            id: MemberId::new("1-00").unwrap(),
            unit_id: MemberUnitId::new("1").unwrap(),
            profile: Profile::default(),
        };
        let list = |text: &str| Some(vec!["x".to_owned(), text.to_owned()]);
        assert!(Allow::default().admits(&member));
        assert!(
            Allow { member_unit_id: list("1"), provider: list("ymca"), ..Allow::default() }.admits(&member)
        );
        assert!(
            !Allow { member_unit_id: list("1"), provider: list("rewards"), ..Allow::default() }
                .admits(&member)
        );
        assert!(!Allow { member_id: list("1"), ..Allow::default() }.admits(&member));
        assert!(!Allow { member_id: Some(Vec::new()), ..Allow::default() }.admits(&member));
    }

    #[test]
    fn a_rule_knows_its_place_and_the_one_behind_them_all_has_none() {
        let written = vec![rule("/a", Access::Public), rule("/b", Access::Deny), rule("/c", Access::Public)];
        let rules = Rules::new(written, true);
        assert_eq!(
            rules.written().iter().map(|rule| rule.pattern.to_string()).collect::<Vec<_>>(),
            ["/a", "/b", "/c"]
        );
        let place = |path: &str| rules.place_of(rules.first_match(&Method::GET, path.as_bytes()));
        assert_eq!(["/a", "/B", "/c", "/d"].map(place), [Some(0), Some(1), Some(2), None]);
        assert!(rules.ignore_case() && !Rules::new(Vec::new(), false).ignore_case());
    }
}
