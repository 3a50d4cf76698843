//! `check`: whether the configuration is valid, and what would be served; with `--online` also what the vendors say.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use httpdate::fmt_http_date;

use super::online::{Online, printable};
use super::simulations::{self, Simulation};
use super::{CommandError, source, trusts_somebody};
use crate::config::assemble::{self, Assembled, Loaded, RandomKeys, Surroundings};
use crate::config::{AccessChoice, AllowTable, SiteTable, UpstreamChoice};
use crate::identity::bridge::Bridge;
use crate::provider::inspection::{Finding, Verdict};
use crate::provider::running::RunningProviders;
use crate::revocation::Store;
use crate::route::Origin;
use crate::server::{Entrance, Listen};
use crate::time::Clock;

/// Prints what would be served, and what the vendors say to it.
///
/// # Errors
/// Where the configuration cannot be read or is not as it should be, or where a vendor says that something is wrong.
pub fn command(config: &Path, online: bool, output: &mut impl Write) -> Result<(), CommandError> {
    if online {
        let online = Online::start(config, Simulation::SetUp)?;
        trusts_somebody()?;
        print(config, &online.loaded, &online.assembled, output)?;
        return ask_the_vendors(&online, output);
    }
    let (source, folder) = source(config)?;
    let loaded = assemble::load(&source)?;
    let assembled = loaded.assemble(&surroundings(folder))?;
    trusts_somebody()?;
    print(config, &loaded, &assembled, output)
}

fn print(
    config: &Path,
    loaded: &Loaded,
    assembled: &Assembled,
    output: &mut impl Write,
) -> Result<(), CommandError> {
    writeln!(output, "{} is valid.", config.display())?;
    let addresses: Vec<String> = assembled.listen.iter().map(address).collect();
    writeln!(output, "\nlisten on {}", addresses.join(", "))?;
    writeln!(output, "\nended sessions are kept {}", store(&assembled.revocation.store))?;
    print_certificates(loaded, assembled, output)?;
    for relayed in &assembled.relays {
        let open: Vec<String> = relayed.relay.paths().open().map(ToString::to_string).collect();
        let who =
            if relayed.relay.needs_key() { "whoever shows the key" } else { "any program on this machine" };
        writeln!(output, "\nAPI of the provider {}, for apps", relayed.relay.name())?;
        writeln!(output, "  listen on     {}", address(&relayed.listen))?;
        writeln!(output, "  sends to      {}", relayed.relay.api())?;
        writeln!(output, "  paths         {}", open.join(", "))?;
        writeln!(output, "  for           {who}")?;
    }
    for (site, table) in assembled.gateway.sites.iter().zip(&loaded.config.site) {
        writeln!(output, "\nsite {}", site.origin.as_str())?;
        writeln!(output, "  upstream      {}", upstream(table))?;
        writeln!(output, "  redirect URIs to register with the vendor")?;
        for provider in site.login.providers() {
            writeln!(
                output,
                "    {:<12}{}",
                provider.name.as_str(),
                site.login.redirect_uri(&provider.name).0
            )?;
        }
        writeln!(output, "  identity fields")?;
        for (_, name) in site.identity.fields() {
            writeln!(output, "    {name}")?;
        }
        let keys = site.identity.signing_keys();
        if let (Some(jwt), Some(key)) = (site.identity.jwt(), keys.for_jwt()) {
            writeln!(output, "    {}, a JWT signed by key {}", jwt.field(), key.id())?;
        }
        let Bridge { remote_user, basic } = site.identity.bridge();
        if let Some((attribute, name)) = remote_user {
            writeln!(output, "    {name}, which holds the {} and is not signed", attribute.name())?;
        }
        if basic.is_some() {
            writeln!(output, "    authorization, Basic credentials of the member id and a password […]")?;
        }
        let key = keys.current();
        writeln!(output, "  signed by key {} ({})", key.id(), key.algorithm().as_str())?;
        writeln!(output, "  rules, the first match counts")?;
        for rule in &table.rule {
            let methods =
                rule.methods.as_ref().map(|methods| format!(" {}", methods.join(" "))).unwrap_or_default();
            let only = rule.allow.as_ref().map(only).unwrap_or_default();
            writeln!(output, "    {:<9} {}{methods}{only}", access(rule.access), rule.path)?;
        }
        writeln!(output, "    member    everything else")?;
    }
    for note in &assembled.notes {
        writeln!(output, "\nnote: {note}")?;
    }
    for warning in &assembled.warnings {
        writeln!(output, "\nwarning: {warning}")?;
    }
    Ok(())
}

/// Prints what each certificate is for, and until when.
fn print_certificates(
    loaded: &Loaded,
    assembled: &Assembled,
    output: &mut impl Write,
) -> std::io::Result<()> {
    let (Some(tls), Some(table)) = (&assembled.tls, &loaded.config.server.tls) else { return Ok(()) };
    for (certificate, table) in tls.certificates().iter().zip(&table.certificates) {
        let covered = assembled.gateway.sites.iter().map(|site| &site.origin);
        let covered = covered.filter(|origin| certificate.covers(origin.host()));
        let covered: Vec<&str> = covered.map(Origin::as_str).collect();
        let listed = |list: &[&str]| if list.is_empty() { "none".to_owned() } else { list.join(", ") };
        let names: Vec<&str> = certificate.names().iter().map(String::as_str).collect();
        let expires = UNIX_EPOCH.checked_add(Duration::from_secs(certificate.until().0));
        writeln!(output, "\ncertificate {}", table.cert)?;
        writeln!(output, "  names         {}", printable(&listed(&names)))?;
        writeln!(output, "  expires       {}", expires.map_or_else(|| "never".to_owned(), fmt_http_date))?;
        writeln!(output, "  sites         {}", listed(&covered))?;
    }
    Ok(())
}

/// Prints every finding about every provider.
fn ask_the_vendors(online: &Online, output: &mut impl Write) -> Result<(), CommandError> {
    let mut wrong = 0;
    for provider in &online.assembled.providers {
        let registration = online.registration(provider);
        let findings = online.wait(provider.provider.inspect(&registration));
        writeln!(output, "\nprovider {}, asked", provider.name)?;
        for Finding { verdict, what, next } in findings {
            let verdict = match verdict {
                Verdict::Good => "good",
                Verdict::Wrong => {
                    wrong += 1;
                    "WRONG"
                }
                Verdict::Noted => "note",
                Verdict::Unknown => "unknown",
            };
            writeln!(output, "  {verdict:<8} {}", printable(&what))?;
            if let Some(next) = next {
                writeln!(output, "           {next}")?;
            }
        }
    }
    conclude(wrong)
}

/// The end of a command that has found so much wrong.
pub(super) fn conclude(wrong: usize) -> Result<(), CommandError> {
    match wrong {
        0 => Ok(()),
        1 => Err(CommandError::Failed("1 finding is wrong; what to do stands below it.".to_owned())),
        _ => Err(CommandError::Failed(format!("{wrong} findings are wrong; what to do stands below each."))),
    }
}

/// The rooms of a configuration that is not going to be served.
pub(super) fn assemble(config: &Path) -> Result<Assembled, CommandError> {
    let (source, folder) = source(config)?;
    Ok(assemble::load(&source)?.assemble(&surroundings(folder))?)
}

/// Nothing is started, so the sandbox is nowhere.
pub(super) fn surroundings(folder: std::path::PathBuf) -> Surroundings {
    let nowhere = std::net::SocketAddr::from(([127, 0, 0, 1], 9));
    Surroundings {
        folder,
        clock: Clock::System,
        vendors: simulations::nowhere(),
        app: nowhere,
        telemetry: Arc::default(),
        random_keys: RandomKeys::default(),
        providers: RunningProviders::default(),
        revocations: Arc::default(),
    }
}

fn address(listen: &Listen) -> String {
    let after_header = if listen.proxy_protocol { " (PROXY protocol)" } else { "" };
    match listen.door.entrance() {
        Entrance::Plain => format!("{}{after_header}", listen.address),
        Entrance::Tls => format!("{}{after_header} (TLS)", listen.address),
        Entrance::Redirect => format!("{}{after_header} (redirects to https)", listen.address),
    }
}

pub(super) fn store(store: &Store) -> String {
    match store {
        Store::Memory => {
            "in memory only: a restart forgets them, and other gateways do not hear of them".to_owned()
        }
        Store::File(path) => format!("in {}", path.display()),
        Store::Redis(address) => format!("in the Redis at {}", address.shown()),
    }
}

fn upstream(table: &SiteTable) -> String {
    match &table.upstream {
        UpstreamChoice::One(address) if address == "sandbox" => "the built-in sample app".to_owned(),
        UpstreamChoice::One(address) => address.clone(),
        UpstreamChoice::Several(addresses) => addresses.join(", "),
    }
}

/// Whom a rule lets through of all members.
fn only(allow: &AllowTable) -> String {
    let lists = [
        ("provider", &allow.provider),
        ("member_id", &allow.member_id),
        ("member_unit_id", &allow.member_unit_id),
    ];
    let listed =
        lists.iter().filter_map(|(name, list)| Some(format!("{name} {}", list.as_ref()?.join(", "))));
    format!(" (only {})", listed.collect::<Vec<_>>().join(" and "))
}

pub(super) const fn access(access: AccessChoice) -> &'static str {
    match access {
        AccessChoice::Public => "public",
        AccessChoice::Optional => "optional",
        AccessChoice::Member => "member",
        AccessChoice::Deny => "deny",
    }
}
