//! The rows of a CSV file (RFC 4180): `email`, `member_id`, `member_unit_id`, in any order, further columns ignored.
//!
//! What is wrong is told by its line, and nothing that stands there is quoted. Where the text comes from is left to others.

use std::collections::HashMap;
use std::io;

use crate::member::{InvalidId, MemberId, MemberUnitId};
use crate::provider::claims::{Address, Ids, NoId};

/// More than a million rows of addresses and ids need.
pub(super) const MOST_OCTETS: u64 = 64 * 1024 * 1024;
/// More members than any club has.
const MOST_ROWS: usize = 1_000_000;

const EMAIL: &str = "email";
const MEMBER_ID: &str = "member_id";
const UNIT_ID: &str = "member_unit_id";

/// What is wrong with a file; without anything that stands in it.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It is not there, or not ours to read.
    #[error("it cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    /// It is no list of members.
    #[error("it is larger than 64 MiB, or has more than 1 000 000 rows")]
    TooLarge,
    /// The first line does not name what we need.
    #[error("its first line has no column `{0}`")]
    NoColumn(&'static str),
    /// The first line is one column, with something else between the names.
    #[error("its columns are separated by semicolons or tabs")]
    Separator,
    /// The first line names it twice.
    #[error("its first line has the column `{0}` twice")]
    DoubledColumn(&'static str),
    /// A line has more or fewer columns than the first one.
    #[error("line {line} has {found} columns, and the first line {expected}")]
    Columns {
        /// Counted from 1.
        line: u64,
        /// In this line.
        found: u64,
        /// In the first one.
        expected: u64,
    },
    /// A line is not text.
    #[error("line {0} is not UTF-8")]
    NotText(u64),
    /// A line has an address that is none.
    #[error("line {line}: `email` {why}")]
    Address {
        /// Counted from 1.
        line: u64,
        /// What is wrong with it.
        why: NoId,
    },
    /// A line has an id that is none.
    #[error("line {line}: `{column}` {why}")]
    Id {
        /// Counted from 1.
        line: u64,
        /// Which id.
        column: &'static str,
        /// What is wrong with it.
        why: InvalidId,
    },
}

/// What the rows say of one address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// These ids.
    Ids(Ids),
    /// One thing in one row, another in another.
    Ambiguous,
}

pub(super) type Rows = HashMap<Address, Entry>;

/// The rows of a CSV file.
pub(super) fn rows(text: &[u8]) -> Result<Rows, FileError> {
    if text.len() as u64 > MOST_OCTETS {
        return Err(FileError::TooLarge);
    }
    let text = text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(text);
    let mut reader = csv::ReaderBuilder::new().from_reader(text);
    let header = reader.headers().map_err(|error| of_csv(error, text))?.clone();
    if header.len() == 1 && header.iter().any(|column| column.contains([';', '\t'])) {
        return Err(FileError::Separator);
    }
    let column = |name: &'static str| {
        let mut places = header.iter().enumerate().filter(|(_, column)| column.trim() == name);
        let (place, _) = places.next().ok_or(FileError::NoColumn(name))?;
        if places.next().is_some() { Err(FileError::DoubledColumn(name)) } else { Ok(place) }
    };
    let (email, member_id, unit_id) = (column(EMAIL)?, column(MEMBER_ID)?, column(UNIT_ID)?);
    let mut rows = Rows::new();
    for (number, record) in reader.records().enumerate() {
        if number >= MOST_ROWS {
            return Err(FileError::TooLarge);
        }
        let record = record.map_err(|error| of_csv(error, text))?;
        let line = line_of(text, record.position());
        let field = |place: usize| record.get(place).unwrap_or_default();
        // Exports name everybody; whoever has no address cannot sign in by one.
        if field(email).trim_ascii().is_empty() {
            continue;
        }
        let address = Address::new(field(email)).map_err(|why| FileError::Address { line, why })?;
        let invalid = |column| move |why| FileError::Id { line, column, why };
        let ids = Entry::Ids(Ids {
            member_id: MemberId::new(field(member_id).to_owned()).map_err(invalid(MEMBER_ID))?,
            unit_id: MemberUnitId::new(field(unit_id).to_owned()).map_err(invalid(UNIT_ID))?,
        });
        rows.entry(address)
            .and_modify(|known| {
                if *known != ids {
                    *known = Entry::Ambiguous;
                }
            })
            .or_insert_with(|| ids.clone());
    }
    Ok(rows)
}

/// The parser's own texts are kept out: nobody promises that they quote nothing.
fn of_csv(error: csv::Error, text: &[u8]) -> FileError {
    match error.into_kind() {
        csv::ErrorKind::Utf8 { pos, .. } => FileError::NotText(line_of(text, pos.as_ref())),
        csv::ErrorKind::UnequalLengths { pos, expected_len, len } => {
            FileError::Columns { line: line_of(text, pos.as_ref()), found: len, expected: expected_len }
        }
        csv::ErrorKind::Io(error) => FileError::Unreadable(error),
        // Seeking, serde and whatever comes: none of it is asked for here.
        csv::ErrorKind::Seek | csv::ErrorKind::Serialize(_) | csv::ErrorKind::Deserialize { .. } | _ => {
            FileError::Unreadable(io::ErrorKind::InvalidData.into())
        }
    }
}

/// The line on which a row begins. The parser's position is in front of the line ends that it skips.
fn line_of(text: &[u8], position: Option<&csv::Position>) -> u64 {
    let Some(position) = position else { return 0 };
    let rest = usize::try_from(position.byte()).ok().and_then(|at| text.get(at..)).unwrap_or_default();
    let skipped = rest.iter().take_while(|byte| matches!(byte, b'\r' | b'\n'));
    position.line() + skipped.map(|byte| u64::from(*byte == b'\n')).sum::<u64>()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "email,member_id,member_unit_id\n";

    fn wrong(text: &str) -> String {
        rows(text.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn a_wrong_file_is_described_by_its_line_and_never_quoted() {
        let cases = [
            ("", "no column `email`"),
            ("email;member_id;member_unit_id\n", "separated by semicolons or tabs"),
            ("email\tmember_id\tmember_unit_id\n", "separated by semicolons or tabs"),
            ("email,member_id\n", "no column `member_unit_id`"),
            ("email,email,member_id,member_unit_id\n", "`email` twice"),
            (
                "email,member_id,member_unit_id\na@b,1,1\n\nnoor@example.org,1\n",
                "line 4 has 2 columns, and the first line 3",
            ),
            (
                "email,member_id,member_unit_id\nnoor.example.org,1,1\n",
                "line 2: `email` is no e-mail address",
            ),
            ("email,member_id,member_unit_id\nnoor@example.org,,1\n", "line 2: `member_id` is empty"),
            (
                "email,member_id,member_unit_id\nnoor@example.org,1,\"1,2\"\n",
                "line 2: `member_unit_id` holds a character",
            ),
            (
                "email,member_id,member_unit_id\nnoor@example.org, 1,1\n",
                "line 2: `member_id` holds a character",
            ),
        ];
        for (text, words) in cases {
            let error = wrong(text);
            assert!(error.contains(words) && !error.contains("noor"), "{text:?}: {error}");
        }
        assert_eq!(
            wrong("email,member_id,member_unit_id\r\na@b,1,1\r\nc@d,,1\r\n"),
            "line 3: `member_id` is empty"
        );
        let latin = rows(b"email,member_id,member_unit_id\nno\xf6r@example.org,1,1\n").unwrap_err();
        assert_eq!(latin.to_string(), "line 2 is not UTF-8");
    }

    #[test]
    fn more_rows_than_any_club_has_members_are_refused() {
        let many = format!("{HEADER}{}", ",,\n".repeat(MOST_ROWS + 1));
        assert!(matches!(rows(many.as_bytes()), Err(FileError::TooLarge)));
    }
}
