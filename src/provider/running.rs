//! Providers that are there already, for a configuration that is read again.
//!
//! Where it says the same of a provider, that provider goes on, with its tokens and its connections; where it names the
//! same file, a directory goes on with its rows. What a vendor has said of memberships outlives every reload: a member
//! who is known to have lapsed must not come in again because somebody has changed a timeout.

use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::calls::Calls;
use super::daxko::{self, Daxko};
use super::directory::FileDirectory;
use super::membership::{Account, Remembered};
use super::quota::Quota;
use super::xoxoday::{self, Xoxoday};
use crate::member::ProviderName;
use crate::telemetry::Telemetry;
use crate::time::Clock;

/// The providers of this process. Clones are the same; a new one knows none.
#[derive(Clone, Default)]
pub struct RunningProviders {
    known: Arc<Mutex<Known>>,
    telemetry: Arc<Telemetry>,
}

#[derive(Default)]
struct Known {
    daxkos: Live<Daxko>,
    xoxodays: Live<Xoxoday>,
    memberships: HashMap<Account, Remembered>,
    /// By the API and the username.
    quotas: HashMap<(String, String), Arc<Quota>>,
}

impl fmt::Debug for RunningProviders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RunningProviders")
    }
}

impl RunningProviders {
    /// None yet; what they call is counted there.
    #[must_use]
    pub fn counted_by(telemetry: Arc<Telemetry>) -> Self {
        Self { known: Arc::default(), telemetry }
    }

    /// Daxko with these settings.
    ///
    /// # Errors
    /// Where no HTTP client can be made on this machine.
    pub fn daxko(&self, settings: daxko::Settings, clock: Clock) -> Result<Arc<Daxko>, reqwest::Error> {
        let mut known = self.known();
        if let Some(same) = known.daxkos.find(|running| running.has(&settings)) {
            return Ok(same);
        }
        let calls = self.calls(&settings.name).with_tokens(settings.name.as_str(), &self.telemetry.metrics);
        let daxko = Arc::new(Daxko::new(settings, clock, &calls)?);
        known.daxkos.add(&daxko);
        Ok(daxko)
    }

    /// Xoxoday with these settings.
    ///
    /// # Errors
    /// Where no HTTP client can be made on this machine.
    pub fn xoxoday(&self, settings: xoxoday::Settings, clock: Clock) -> Result<Arc<Xoxoday>, reqwest::Error> {
        let mut known = self.known();
        if let Some(same) = known.xoxodays.find(|running| running.has(&settings)) {
            return Ok(same);
        }
        let calls = self.calls(&settings.name);
        let xoxoday = Arc::new(Xoxoday::new(settings, clock, &calls)?);
        known.xoxodays.add(&xoxoday);
        Ok(xoxoday)
    }

    /// The directory in this file, if one is used.
    #[must_use]
    pub fn directory(&self, file: &Path) -> Option<FileDirectory> {
        let known = self.known();
        let running = known.xoxodays.all().find_map(|running| running.directory_in(file).cloned());
        drop(known);
        running
    }

    /// What is remembered of the memberships of an account.
    #[must_use]
    pub fn remembered(&self, account: Account) -> Remembered {
        self.known().memberships.entry(account).or_default().clone()
    }

    /// The quota of an API username, for so many calls at a time. What the vendor has said of it goes on to count.
    #[must_use]
    pub fn quota(&self, daxko: &Daxko, most: u16) -> Arc<Quota> {
        let (api, username) = daxko.account();
        let mut known = self.known();
        let quota = known.quotas.entry((api.to_owned(), username.to_owned()));
        let quota = quota.or_insert_with(|| Arc::new(Quota::new(most)));
        if quota.most() != most {
            *quota = Arc::new(quota.with(most));
        }
        Arc::clone(quota)
    }

    fn calls(&self, provider: &ProviderName) -> Calls {
        Calls::of(provider.as_str(), &self.telemetry.metrics)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Those of one kind that somebody has.
struct Live<T>(Vec<Weak<T>>);

impl<T> Default for Live<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Live<T> {
    fn all(&self) -> impl Iterator<Item = Arc<T>> {
        self.0.iter().filter_map(Weak::upgrade)
    }

    fn find(&self, is_meant: impl Fn(&T) -> bool) -> Option<Arc<T>> {
        self.all().find(|running| is_meant(running))
    }

    fn add(&mut self, running: &Arc<T>) {
        self.0.retain(|known| known.strong_count() > 0);
        self.0.push(Arc::downgrade(running));
    }
}
