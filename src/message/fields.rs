//! Fields: the lines of a head, one after the other, as they came.
//!
//! A head has a dozen lines, and a few of them are asked for by name. To go through so few costs less than to hash the name
//! of each, and their order stays what it was.

use http::header::{HeaderMap, HeaderName, HeaderValue};

use crate::field_lines::Lines;

/// Field lines, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields {
    lines: Vec<(HeaderName, HeaderValue)>,
}

/// What a field is asked for by.
pub trait Named {
    /// Whether this is its name.
    fn is(&self, name: &HeaderName) -> bool;
}

impl Named for HeaderName {
    fn is(&self, name: &HeaderName) -> bool {
        self == name
    }
}

impl Named for &HeaderName {
    fn is(&self, name: &HeaderName) -> bool {
        *self == name
    }
}

impl Named for &str {
    fn is(&self, name: &HeaderName) -> bool {
        self.eq_ignore_ascii_case(name.as_str())
    }
}

impl Fields {
    /// None.
    #[must_use]
    pub const fn new() -> Self {
        Self { lines: Vec::new() }
    }

    /// How many lines there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.lines.len()
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// For how many there is room.
    #[must_use]
    pub const fn capacity(&self) -> usize {
        self.lines.capacity()
    }

    /// Takes all away, and keeps the room.
    pub fn clear(&mut self) {
        self.lines.clear();
    }

    /// The value of the first line of this name.
    #[must_use]
    pub fn get(&self, name: impl Named) -> Option<&HeaderValue> {
        self.get_all(name).next()
    }

    /// The values of all lines of this name.
    pub fn get_all<N: Named>(&self, name: N) -> Values<'_, N> {
        Values { lines: self.lines.iter(), name }
    }

    /// Whether there is a line of this name.
    #[must_use]
    pub fn contains_key(&self, name: impl Named) -> bool {
        self.get(name).is_some()
    }

    /// The name of each line.
    pub fn keys(&self) -> impl Iterator<Item = &HeaderName> {
        self.lines.iter().map(|(name, _)| name)
    }

    /// All lines.
    pub fn iter(&self) -> impl Iterator<Item = (&HeaderName, &HeaderValue)> {
        self.into_iter()
    }

    /// Adds a line at the end.
    pub fn append(&mut self, name: impl Into<HeaderName>, value: HeaderValue) {
        self.lines.push((name.into(), value));
    }

    /// Adds a line at the end, where there is none of this name.
    pub fn append_if_absent(&mut self, name: HeaderName, value: impl FnOnce() -> HeaderValue) {
        if !self.contains_key(&name) {
            self.append(name, value());
        }
    }

    /// Leaves one line of this name: in the place of the first, or else at the end.
    pub fn insert(&mut self, name: impl Into<HeaderName>, value: HeaderValue) {
        let name = name.into();
        let Some(first) = self.lines.iter().position(|(known, _)| *known == name) else {
            return self.append(name, value);
        };
        self.lines[first].1 = value;
        let mut at = 0;
        self.lines.retain(|(known, _)| {
            at += 1;
            at <= first + 1 || *known != name
        });
    }

    /// Takes away the lines of this name, and says what stood in the first.
    pub fn remove(&mut self, name: impl Named) -> Option<HeaderValue> {
        let is_unwanted = move |known: &HeaderName| name.is(known);
        let first = self.lines.iter().position(|(known, _)| is_unwanted(known))?;
        let (_, value) = self.lines.remove(first);
        self.lines.retain(|(known, _)| !is_unwanted(known));
        Some(value)
    }

    /// Keeps the lines of which this is true.
    pub fn retain(&mut self, mut is_kept: impl FnMut(&HeaderName, &HeaderValue) -> bool) {
        self.lines.retain(|(name, value)| is_kept(name, value));
    }
}

/// The values of the lines of one name.
#[derive(Clone, Debug)]
pub struct Values<'a, N> {
    lines: std::slice::Iter<'a, (HeaderName, HeaderValue)>,
    name: N,
}

impl<'a, N: Named> Iterator for Values<'a, N> {
    type Item = &'a HeaderValue;

    fn next(&mut self) -> Option<&'a HeaderValue> {
        self.lines.find(|(name, _)| self.name.is(name)).map(|(_, value)| value)
    }
}

impl<N: Named> DoubleEndedIterator for Values<'_, N> {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.lines.rfind(|(name, _)| self.name.is(name)).map(|(_, value)| value)
    }
}

impl Lines for Fields {
    fn field(&mut self, name: &HeaderName, value: &HeaderValue) {
        self.append(name.clone(), value.clone());
    }

    fn text(&mut self, name: &HeaderName, value: &[u8]) {
        if let Ok(value) = HeaderValue::from_bytes(value) {
            self.append(name.clone(), value);
        }
    }
}

type Line<'a> = (&'a HeaderName, &'a HeaderValue);

impl<'a> IntoIterator for &'a Fields {
    type Item = Line<'a>;
    type IntoIter = std::iter::Map<
        std::slice::Iter<'a, (HeaderName, HeaderValue)>,
        fn(&(HeaderName, HeaderValue)) -> Line<'_>,
    >;

    fn into_iter(self) -> Self::IntoIter {
        self.lines.iter().map(|(name, value)| (name, value))
    }
}

impl FromIterator<(HeaderName, HeaderValue)> for Fields {
    fn from_iter<T: IntoIterator<Item = (HeaderName, HeaderValue)>>(lines: T) -> Self {
        Self { lines: lines.into_iter().collect() }
    }
}

impl Extend<(HeaderName, HeaderValue)> for Fields {
    fn extend<T: IntoIterator<Item = (HeaderName, HeaderValue)>>(&mut self, lines: T) {
        self.lines.extend(lines);
    }
}

impl From<HeaderMap> for Fields {
    fn from(map: HeaderMap) -> Self {
        let mut fields = Self { lines: Vec::with_capacity(map.len()) };
        // A value without a name has that of the one before.
        let mut last = None;
        for (name, value) in map {
            if let Some(name) = name.or_else(|| last.clone()) {
                last = Some(name.clone());
                fields.append(name, value);
            }
        }
        fields
    }
}

impl From<Fields> for HeaderMap {
    fn from(fields: Fields) -> Self {
        let mut map = Self::with_capacity(fields.len());
        for (name, value) in fields.lines {
            map.append(name, value);
        }
        map
    }
}

#[cfg(test)]
impl<N: Named> std::ops::Index<N> for Fields {
    type Output = HeaderValue;

    fn index(&self, name: N) -> &HeaderValue {
        self.get(name).expect("there is such a field")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(lines: &[(&'static str, &'static str)]) -> Fields {
        let line = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        lines.iter().map(line).collect()
    }

    const LINES: [(&str, &str); 5] = [("a", "1"), ("via", "2"), ("a", "3"), ("b", "4"), ("via", "5")];

    #[test]
    fn lines_stay_in_their_order_and_are_found_by_name() {
        let fields = fields(&LINES);
        assert_eq!(fields.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["a", "via", "a", "b", "via"]);
        assert_eq!(fields.get("A").unwrap(), "1");
        assert_eq!(fields.get_all(http::header::VIA).collect::<Vec<_>>(), ["2", "5"]);
        assert!(!fields.contains_key("c"));
    }

    #[test]
    fn one_line_stands_for_all_of_its_name_once_it_is_set_and_none_once_they_are_taken() {
        let mut set = fields(&LINES);
        set.insert(HeaderName::from_static("via"), HeaderValue::from_static("6"));
        set.insert(HeaderName::from_static("c"), HeaderValue::from_static("7"));
        assert_eq!(set, fields(&[("a", "1"), ("via", "6"), ("a", "3"), ("b", "4"), ("c", "7")]));
        assert_eq!(set.remove("a").unwrap(), "1");
        assert_eq!(set.remove("a"), None);
        assert_eq!(set, fields(&[("via", "6"), ("b", "4"), ("c", "7")]));
    }

    #[test]
    fn nothing_is_lost_on_the_way_to_a_map_and_back() {
        let map = HeaderMap::from(fields(&LINES));
        assert_eq!(map.get_all("via").iter().collect::<Vec<_>>(), ["2", "5"]);
        let back = Fields::from(map.clone());
        assert_eq!(back.len(), LINES.len());
        assert_eq!(HeaderMap::from(back), map);
    }
}
