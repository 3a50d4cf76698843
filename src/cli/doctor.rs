//! `doctor`: whether what the gateway needs is there, on this machine and around it, and what to do where it is not.
//!
//! It looks and changes nothing, and waits for nobody longer than its deadlines say. What a gateway does that runs already it
//! asks at the addresses of the configuration; the rest it sees as the user that runs the command.

mod here;
mod there;

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use super::CommandError;
use super::check::conclude;
use super::online::{Online, printable};
use super::simulations::Simulation;
use crate::provider::inspection::{Finding, Verdict};
use crate::time::Clock;

/// For each thing that is asked; a vendor is asked for several.
const PATIENCE: Duration = Duration::from_secs(5);
/// For a vendor.
const PATIENCE_WITH_A_VENDOR: Duration = Duration::from_secs(30);

/// Prints what it finds, and what to do about it.
///
/// # Errors
/// Where the configuration is not as it should be, or something is wrong.
pub fn command(
    config: &Path,
    offline: bool,
    before_start: bool,
    output: &mut impl Write,
) -> Result<(), CommandError> {
    let online = Online::start(config, Simulation::SetUp)?;
    let (assembled, loaded) = (&online.assembled, &online.loaded);
    let now = Clock::System.now();
    let mut report = Report { output, wrong: 0 };

    let mut findings = vec![Finding::good(format!("{} is valid", config.display()))];
    findings.extend(assembled.warnings.iter().map(|warning| finding(Verdict::Noted, warning)));
    report.part("configuration", findings)?;
    report.part("keys and secrets", here::keys(config, &online))?;
    report.part("certificates", here::certificates(assembled, now))?;
    report.part("addresses", online.wait(here::addresses(assembled, before_start)))?;
    for (site, table) in assembled.gateway.sites.iter().zip(&loaded.config.site) {
        let findings = online.wait(there::upstream(site, table));
        report.part(&format!("app behind {}", site.origin.as_str()), findings)?;
    }
    report.part("ended sessions", online.wait(there::store(&assembled.revocation.store)))?;
    for provider in &assembled.providers {
        let findings = if offline {
            vec![finding(Verdict::Unknown, "the vendor and its clock are not asked, as --offline says")]
        } else {
            online.wait(there::vendor(provider, &online.registration(provider)))
        };
        report.part(&format!("provider {}", provider.name), findings)?;
    }
    report.part("machine", here::machine(&assembled.limits))?;
    conclude(report.wrong)
}

/// A finding that leaves nothing to say about what to do.
fn finding(verdict: Verdict, what: impl Into<String>) -> Finding {
    Finding { verdict, what: what.into(), next: None }
}

/// What is printed, part by part.
struct Report<'a, W> {
    output: &'a mut W,
    wrong: usize,
}

impl<W: Write> Report<'_, W> {
    fn part(&mut self, title: &str, findings: Vec<Finding>) -> std::io::Result<()> {
        if findings.is_empty() {
            return Ok(());
        }
        writeln!(self.output, "{title}")?;
        for Finding { verdict, what, next } in findings {
            let verdict = match verdict {
                Verdict::Good => "ok",
                Verdict::Noted => "warning",
                Verdict::Wrong => {
                    self.wrong += 1;
                    "WRONG"
                }
                Verdict::Unknown => "unknown",
            };
            writeln!(self.output, "  {verdict:<8} {}", printable(&what))?;
            if let Some(next) = next {
                writeln!(self.output, "           {}", printable(&next))?;
            }
        }
        writeln!(self.output)
    }
}
