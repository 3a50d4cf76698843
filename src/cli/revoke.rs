//! `revoke`: asks the running gateway, over its admin address, to end sessions.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use super::CommandError;
use crate::admin::revoke::Question;
use crate::config::assemble;
use crate::time::UnixTime;

/// Longer than a gateway waits for its store.
const PATIENCE: Duration = Duration::from_secs(20);

/// Whose sessions are to end.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    target: Target,
    /// Only sessions of this provider's members.
    #[arg(long, value_name = "NAME")]
    provider: Option<String>,
}

/// Exactly one of them.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct Target {
    /// End the sessions of one person.
    #[arg(long, value_name = "ID")]
    member: Option<String>,
    /// End the sessions of one unit.
    #[arg(long, value_name = "ID")]
    unit: Option<String>,
    /// End one session, as the log and `/_gateway/session` name it.
    #[arg(long, value_name = "ID", allow_hyphen_values = true)]
    session: Option<String>,
    /// End all sessions.
    #[arg(long)]
    all: bool,
}

impl From<Arguments> for Question {
    fn from(Arguments { target: Target { member, unit, session, all }, provider }: Arguments) -> Self {
        Self { member_id: member, member_unit_id: unit, session_id: session, all, provider }
    }
}

/// Ends sessions.
///
/// # Errors
/// Where it is not said whose, or no gateway does it.
pub fn command(config: &Path, arguments: Arguments) -> Result<(), CommandError> {
    let question = Question::from(arguments);
    // What the gateway would refuse is said before anybody is asked.
    question
        .clone()
        .revocation(UnixTime::default())
        .map_err(|reason| CommandError::Usage(reason.to_string()))?;
    let (source, _) = super::source(config)?;
    let loaded = assemble::load(&source)?;
    if let Some(name) = &question.provider {
        let known: Vec<&str> = loaded.providers().collect();
        if !known.contains(&name.as_str()) {
            return Err(CommandError::Usage(format!(
                "{} names no provider of this name\n\nIt names {}.",
                config.display(),
                known.join(", ")
            )));
        }
    }
    let Some(address) = loaded.config.server.admin_listen.as_deref() else {
        return Err(CommandError::Failed(format!(
            "{} has no `admin_listen` in [server], so no gateway can be asked\n\nAdd admin_listen = \"127.0.0.1:9901\" and restart the gateway.",
            config.display()
        )));
    };
    let Ok(address) = address.parse::<SocketAddr>() else {
        return Err(CommandError::Usage(
            "`admin_listen` in [server] is no address\n\n`member-gateway check` says more.".to_owned(),
        ));
    };
    ask(reachable(address), &question)
}

/// An address that means all of a machine's own is reached over the loopback.
pub(super) const fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip @ (IpAddr::V4(_) | IpAddr::V6(_)) => ip,
    };
    SocketAddr::new(ip, address.port())
}

fn ask(address: SocketAddr, question: &Question) -> Result<(), CommandError> {
    let failed = |error: &dyn std::fmt::Display| {
        CommandError::Failed(format!(
            "no gateway answers at {address}: {error}\n\nDoes it run, with this configuration? `admin_listen` does not change with a reload."
        ))
    };
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| failed(&error))?;
    let asked = async {
        // No proxy stands between an operator and the machine itself.
        let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build()?;
        let answer = client.post(format!("http://{address}/revoke")).json(question).send().await?;
        let status = answer.status();
        Ok::<_, reqwest::Error>((status, answer.text().await?))
    };
    let (status, text) = runtime.block_on(asked).map_err(|error| failed(&error.without_url()))?;
    if status.is_success() {
        return Ok(());
    }
    Err(CommandError::Failed(format!("the gateway at {address} refuses ({status}): {}", text.trim())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_means_all_is_reached_over_the_loopback() {
        for (address, expected) in [
            ("0.0.0.0:9901", "127.0.0.1:9901"),
            ("[::]:9901", "[::1]:9901"),
            ("192.0.2.7:9901", "192.0.2.7:9901"),
        ] {
            assert_eq!(reachable(address.parse().unwrap()), expected.parse().unwrap());
        }
    }
}
