//! What a vendor has said of its members' standing, in bounded memory, and for how long it is left alone.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;

use super::Standing;
use crate::provider::ProviderError;
use crate::time::UnixTime;

/// Members that are remembered at most, some 10 MiB of them.
pub(super) const MOST: usize = 65_536;
/// How long a vendor that could not answer is left alone.
pub(super) const PAUSE: Duration = Duration::from_secs(30);
/// The same at most, however long it asks for itself.
const LONGEST_PAUSE: Duration = Duration::from_secs(600);

#[derive(Default)]
pub(super) struct Memory {
    pub(super) records: HashMap<Bytes, Record>,
    pub(super) paused_until: Option<UnixTime>,
    /// The last of whom the vendor gave an answer that is none, if it has given a good one about nobody since.
    pub(super) odd: Option<Bytes>,
    pub(super) questions: u64,
}

#[derive(Clone, Copy, Default)]
pub(super) struct Record {
    pub(super) answer: Option<(Standing, UnixTime)>,
    /// The question to which it is the answer.
    pub(super) question: u64,
    pub(super) asked: Option<UnixTime>,
    pub(super) paused_until: Option<UnixTime>,
}

impl Memory {
    pub(super) fn next_question(&mut self) -> u64 {
        self.questions += 1;
        self.questions
    }

    /// The record of a member. Where there are too many, those go that nobody could do without: their answers are due
    /// anyway, and the sessions remember when they were last good.
    pub(super) fn record(&mut self, subject: Bytes, recheck: Duration, now: UnixTime) -> &mut Record {
        if self.records.len() >= MOST && !self.records.contains_key(&subject) {
            self.records.retain(|_, record| record.answer.is_some_and(|(_, at)| now.since(at) < recheck));
            if self.records.len() >= MOST {
                self.records.clear();
            }
        }
        self.records.entry(subject).or_default()
    }
}

/// Whether an error may come from what the vendor has noted of one member: with the next one all may be well.
pub(super) fn is_about_one(error: &ProviderError) -> bool {
    match error {
        // Without another token nobody's record can be read.
        ProviderError::ClientRefused { status, .. } => *status != 401,
        ProviderError::Unintelligible { .. } => true,
        ProviderError::Busy { .. }
        | ProviderError::Unreachable { .. }
        | ProviderError::CodeRefused
        | ProviderError::NoIdentity { .. }
        | ProviderError::NotInDirectory
        | ProviderError::AmbiguousInDirectory
        | ProviderError::Lapsed => false,
    }
}

pub(super) fn pause_after(error: &ProviderError) -> Duration {
    match error {
        ProviderError::Busy { retry_after: Some(seconds), .. } => {
            Duration::from_secs(*seconds).clamp(PAUSE, LONGEST_PAUSE)
        }
        ProviderError::Busy { retry_after: None, .. }
        | ProviderError::Unreachable { .. }
        | ProviderError::ClientRefused { .. }
        | ProviderError::Unintelligible { .. }
        | ProviderError::CodeRefused
        | ProviderError::NoIdentity { .. }
        | ProviderError::NotInDirectory
        | ProviderError::AmbiguousInDirectory
        | ProviderError::Lapsed => PAUSE,
    }
}
