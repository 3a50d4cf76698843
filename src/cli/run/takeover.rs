//! One process after the other: where sockets come from, and how they are handed on.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::Started;
use super::prepare::Prepared;
use crate::cli::CommandError;
use crate::server::handover::{self, Office, Predecessor, Successor};
use crate::server::{Inherited, Running};

/// Another process serves.
pub(super) struct Handed {
    /// It waits until this one has stopped to accept.
    pub(super) successor: Successor,
    /// Of each server the listeners whose sockets live on: first the one for members, then the one for operators, where
    /// there is one, then those for apps.
    pub(super) listeners: Vec<Arc<[usize]>>,
}

/// Hears of it.
pub(super) type HandedOver = oneshot::Receiver<Handed>;

/// Tells the gateway before that this one serves.
pub(super) fn relieve(predecessor: Predecessor, rest: Inherited) {
    match predecessor.relieve(rest) {
        Ok(()) => tracing::info!("the gateway before has handed over, and ends when it has done its work"),
        Err(error) => {
            tracing::error!(%error, "the gateway before does not answer, and may go on to serve beside this one: end it by hand");
        }
    }
}

impl Prepared {
    /// The listening sockets that are there already: those of a gateway that hands over, or of systemd.
    pub(super) fn inheritance(
        &self,
        takeover: bool,
    ) -> Result<(Inherited, Option<Predecessor>), CommandError> {
        if takeover {
            let Some(path) = &self.assembled.handover else {
                return Err(CommandError::Usage(
                    "there is no `handover` in [server]\n\nWith handover = \"unix:/run/member-gateway/handover\" the next process can take over from this one."
                        .to_owned(),
                ));
            };
            let found = Predecessor::find(path).map_err(|error| {
                CommandError::Failed(format!(
                    "nothing can be taken over at unix:{}: {error}\n\nThe gateway there serves on. Is it run by the same user, and of this version?",
                    path.display()
                ))
            })?;
            if let Some((predecessor, inherited)) = found {
                return Ok((inherited, Some(predecessor)));
            }
            tracing::info!("there is no gateway to take over from: this one begins by itself");
        }
        let inherited = Inherited::from_systemd().map_err(|error| {
            CommandError::Failed(format!("{error}\n\nIts socket unit needs ListenStream= for each address."))
        })?;
        Ok((inherited, None))
    }
}

impl Started {
    /// Opens the place at which the next process asks for the sockets, where there is to be one. The other end hears when
    /// one has taken over.
    pub(super) fn open_office(&self) -> Result<(Option<handover::Closing>, HandedOver), CommandError> {
        let (tell, told) = oneshot::channel();
        let Some(path) = &self.handover else { return Ok((None, told)) };
        let office = Office::open(path).and_then(|office| {
            let admin = self.admin.iter().map(Running::offered);
            let offered = std::iter::once(self.running.offered()).chain(admin).chain(self.relays.offered());
            let offered = offered.collect();
            office.wait(offered, move |successor, listeners| {
                // Where nobody listens the process ends already.
                let _ = tell.send(Handed { successor, listeners });
            })
        });
        let office = office.map_err(|error| {
            CommandError::Failed(format!(
                "the hand-over cannot be prepared at unix:{}: {error}\n\nThe folder has to be there and writable; of a gateway that runs there, `run --takeover` takes over.",
                path.display()
            ))
        })?;
        Ok((Some(office), told))
    }
}
