//! Changes to inputs, the same each time: octets turned, taken out, doubled, and words put in.

/// Octets and words out of which inputs are made, as libFuzzer reads them too.
const WORDS: &str = include_str!("../../fuzz/words.dict");

/// Makes inputs out of a few.
pub(crate) struct Mutations<'a> {
    corpus: &'a [Vec<u8>],
    words: Vec<Vec<u8>>,
    state: u64,
}

impl<'a> Mutations<'a> {
    /// Out of these, which are at least one.
    pub(crate) fn of(corpus: &'a [Vec<u8>]) -> Self {
        let lines = WORDS.lines().filter_map(|line| line.strip_prefix('"')?.strip_suffix('"'));
        Self { corpus, words: lines.map(unescaped).collect(), state: 0x9e37_79b9_7f4a_7c15 }
    }

    /// Xorshift (Marsaglia 2003): good enough to choose places.
    fn below(&mut self, end: usize) -> usize {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        usize::try_from(self.state >> 8).unwrap_or_default() % end.max(1)
    }

    fn word(&mut self) -> Vec<u8> {
        let index = self.below(self.words.len());
        self.words[index].clone()
    }

    /// The next one.
    pub(crate) fn next(&mut self) -> Vec<u8> {
        let mut bytes = self.corpus[self.below(self.corpus.len())].clone();
        for _ in 0..=self.below(4) {
            let at = self.below(bytes.len() + 1);
            let end = at + self.below((bytes.len() - at).min(32) + 1);
            match self.below(7) {
                0 => {
                    if let Some(byte) = bytes.get_mut(at) {
                        *byte ^= 1 << self.below(8);
                    }
                }
                1 => {
                    let byte = u8::try_from(self.below(256)).unwrap_or_default();
                    bytes.insert(at, byte);
                }
                2 => drop(bytes.drain(at..end)),
                3 => {
                    let again = bytes[at..end].to_vec();
                    bytes.splice(at..at, again);
                }
                4 => {
                    let other = &self.corpus[self.below(self.corpus.len())];
                    let from = self.below(other.len() + 1);
                    bytes.truncate(at);
                    bytes.extend_from_slice(&other[from..]);
                }
                5 => drop(bytes.splice(at..end, self.word())),
                _ => drop(bytes.splice(at..at, self.word())),
            }
        }
        bytes
    }
}

/// `\\`, `\"` and `\xAB`.
fn unescaped(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text.as_bytes();
    while let [byte, behind @ ..] = rest {
        rest = behind;
        match (byte, rest) {
            (b'\\', [b'x', high, low, behind @ ..]) => {
                let digits = [*high, *low];
                let digits = str::from_utf8(&digits).expect("two digits");
                out.push(u8::from_str_radix(digits, 16).expect("two digits"));
                rest = behind;
            }
            (b'\\', [escaped, behind @ ..]) => {
                out.push(*escaped);
                rest = behind;
            }
            _ => out.push(*byte),
        }
    }
    out
}
