//! The lines of `framing.txt`, which says how they are written.

/// One line of the corpus.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) bytes: Vec<u8>,
    pub(crate) expected: Expected,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    Requests(u64),
    Violation { name: &'static str, at: usize },
}

pub(crate) fn corpus() -> Vec<Row> {
    let lines = include_str!("framing.txt").lines();
    let rows: Vec<Row> = lines.filter(|line| !line.is_empty() && !line.starts_with('#')).map(row).collect();
    assert!(rows.len() > 200, "the corpus has shrunk to {}", rows.len());
    rows
}

fn row(line: &'static str) -> Row {
    let (name, rest) = line.split_once(' ').expect("a name");
    let (verdict, payload) = rest.trim_start().split_once(' ').expect("a verdict");
    let mut bytes = Vec::new();
    let mut mark = None;
    unescape(&mut payload.trim_start().as_bytes(), &mut bytes, &mut mark);
    let expected = match verdict.strip_prefix("ok:") {
        Some(requests) => Expected::Requests(requests.parse().expect("a number")),
        None => Expected::Violation { name: verdict, at: mark.unwrap_or_else(|| panic!("{name}: no mark")) },
    };
    Row { name, bytes, expected }
}

/// Appends the text to `bytes`, up to its end or to the brace that closes a repetition. Other corpora have the same escapes.
pub(crate) fn unescape(text: &mut &[u8], bytes: &mut Vec<u8>, mark: &mut Option<usize>) {
    while let [byte, rest @ ..] = *text {
        *text = rest;
        match byte {
            b'}' => return,
            b'\\' => {
                let (escape, rest) = text.split_first().expect("an escape");
                *text = rest;
                match escape {
                    b'r' => bytes.push(b'\r'),
                    b'n' => bytes.push(b'\n'),
                    b't' => bytes.push(b'\t'),
                    b's' => bytes.push(b' '),
                    b'0' => bytes.push(0),
                    b'^' => *mark = Some(bytes.len()),
                    b'x' => {
                        let (digits, rest) = text.split_at(2);
                        let digits = str::from_utf8(digits).expect("ASCII");
                        bytes.push(u8::from_str_radix(digits, 16).expect("two hexadecimal digits"));
                        *text = rest;
                    }
                    b'{' => {
                        let end = text.iter().position(|&byte| byte == b' ').expect("a count");
                        let count = str::from_utf8(&text[..end]).expect("ASCII").parse().expect("a count");
                        *text = &text[end + 1..];
                        let mut part = Vec::new();
                        unescape(text, &mut part, &mut None);
                        bytes.extend(part.repeat(count));
                    }
                    other => panic!("no such escape: {}", char::from(*other)),
                }
            }
            _ => bytes.push(*byte),
        }
    }
}
