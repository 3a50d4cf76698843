//! A configuration that is read again.

use std::sync::Arc;

use super::prepare::{conditions, log_to, service, sites};
use super::{Sandbox, Started};
use crate::cli::{CommandError, simulations};
use crate::config::assemble::{self, Assembled};
use crate::config::diagnostics::Source;
use crate::provider::Registered;

impl Started {
    /// Serves what a new configuration says, from the next request on. Those under way keep what they have, and so do
    /// listeners.
    ///
    /// # Errors
    /// Where it is not as it should be. Nothing is changed then.
    pub fn reload(&mut self, source: &Source) -> Result<(), CommandError> {
        let loaded = assemble::load(source)?;
        let runs = |sandbox: &Sandbox| simulations::all_run(&loaded, &sandbox.vendors);
        if loaded.uses_sandbox() && !self.sandbox.as_ref().is_some_and(runs) {
            return Err(CommandError::Failed(
                "the sandbox of this configuration does not run: it starts with the gateway only\n\nRestart the gateway."
                    .to_owned(),
            ));
        }
        let assembled = loaded.assemble(&self.surroundings)?;
        for warning in &assembled.warnings {
            tracing::warn!("{warning}");
        }
        let Assembled {
            mut gateway,
            listen,
            admin_listen,
            access_log,
            handover,
            tls,
            limits,
            revocation,
            providers,
            relays,
            ..
        } = assembled;
        log_to(&self.telemetry, access_log)?;
        let is_same = listen.len() == self.listen.len()
            && listen.iter().zip(&self.listen).all(|(new, old)| new.is_like(old));
        if !is_same {
            tracing::warn!(
                "`listen` differs, and stays as it was: restart, or take over with run --takeover"
            );
        }
        if admin_listen != self.admin_listen {
            tracing::warn!(
                "`admin_listen` differs, and stays as it was: restart, or take over with run --takeover"
            );
        }
        if !self.surroundings.revocations.are_kept_in(&revocation.store) {
            tracing::warn!("`store` in [session], or its `store_tls`, differs, and stays as it was: restart");
        }
        if handover != self.handover {
            tracing::warn!("`handover` differs, and stays as it was: restart");
        }
        if let (Some(serving), Some(new)) = (&self.tls, &tls) {
            serving.take_certificates_of(new);
        }
        for Registered { name, provider, .. } in &providers {
            let mut running = self.providers.iter().filter(|running| running.name == *name);
            if running.any(|running| !Arc::ptr_eq(&running.provider, provider)) {
                tracing::info!(provider = %name, "the provider has changed: its tokens and connections begin anew");
            }
        }
        self.providers = providers;
        self.surroundings.revocations.go_on(&revocation);
        gateway.follow(&self.gateway);
        self.telemetry.metrics.forwards_to(conditions(&gateway));
        self.gateway = Arc::new(gateway);
        self.running.exchange(service(&self.gateway, limits));
        self.relays.exchange(&relays, limits);
        self.sites = sites(&self.gateway);
        Ok(())
    }
}
