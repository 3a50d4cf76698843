//! The index of a site's rules: which of them can match a path at all.
//!
//! A tree of segments. A rule hangs where the plain segments at the start of its pattern lead, so only those on the way of
//! a path have to be looked at, whether there are five rules or five hundred. What hangs there is judged by the rule
//! itself; the index only ever leaves out what could not match.

use std::borrow::Cow;

use super::pattern::Pattern;

/// The places of rules, by the plain segments their patterns begin with.
#[derive(Clone, Debug, Default)]
pub(super) struct Index {
    root: Node,
    ignore_case: bool,
}

#[derive(Clone, Debug, Default)]
struct Node {
    /// Rules that ask for nothing more in plain words, in their order.
    here: Vec<usize>,
    /// What may follow, in the order of the segments; in lower case where case is ignored.
    below: Vec<(Box<[u8]>, Self)>,
}

impl Index {
    /// An index of patterns, each by its place.
    pub(super) fn new<'a>(patterns: impl Iterator<Item = &'a Pattern>, ignore_case: bool) -> Self {
        let mut index = Self { root: Node::default(), ignore_case };
        for (place, pattern) in patterns.enumerate() {
            let mut node = &mut index.root;
            for segment in pattern.plain_start() {
                node = node.grown(&folded(segment, ignore_case));
            }
            node.here.push(place);
        }
        index
    }

    /// The first place, in the order of the config, whose rule `matches`.
    pub(super) fn first(&self, path: &[u8], matches: impl Fn(usize) -> bool) -> Option<usize> {
        let mut first = None;
        let mut segments = path.strip_prefix(b"/")?.split(|&byte| byte == b'/');
        let mut node = Some(&self.root);
        while let Some(Node { here, below }) = node {
            let found = first.unwrap_or(usize::MAX);
            let mut earlier = here.iter().copied().take_while(|&place| place < found);
            first = earlier.find(|&place| matches(place)).or(first);
            if below.is_empty() {
                break;
            }
            node = segments.next().and_then(|segment| {
                let segment = folded(segment, self.ignore_case);
                let at = below.binary_search_by(|(known, _)| (**known).cmp(&segment)).ok()?;
                Some(&below[at].1)
            });
        }
        first
    }
}

impl Node {
    /// The node below, which is there from now on.
    fn grown(&mut self, segment: &[u8]) -> &mut Self {
        let at = match self.below.binary_search_by(|(known, _)| (**known).cmp(segment)) {
            Ok(at) => at,
            Err(at) => {
                self.below.insert(at, (segment.into(), Self::default()));
                at
            }
        };
        &mut self.below[at].1
    }
}

fn folded(segment: &[u8], ignore_case: bool) -> Cow<'_, [u8]> {
    if ignore_case && segment.iter().any(u8::is_ascii_uppercase) {
        segment.to_ascii_lowercase().into()
    } else {
        segment.into()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[test]
    fn only_the_rules_that_begin_as_the_path_does_are_looked_at() {
        let patterns = ["/a/**", "/b/x/*", "/*/x", "/B/**", "/b/**", "/b*/c"];
        let patterns = patterns.map(|text| Pattern::parse(text).unwrap());
        let looked_at = |path: &str, ignore_case| {
            let places = RefCell::new(Vec::new());
            let found = Index::new(patterns.iter(), ignore_case).first(path.as_bytes(), |place| {
                places.borrow_mut().push(place);
                false
            });
            assert_eq!(found, None);
            places.into_inner()
        };
        assert_eq!(looked_at("/b/x/y", false), [2, 5, 4, 1]);
        assert_eq!(looked_at("/B/x/y", false), [2, 5, 3]);
        assert_eq!(looked_at("/B/X/y", true), [2, 5, 3, 4, 1]);
        assert_eq!(looked_at("/c", true), [2, 5]);
    }
}
