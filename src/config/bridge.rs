//! `[site.bridge]`: what an app is told that cannot be changed, checked.

use http::HeaderName;
use schemars::JsonSchema;
use serde::Deserialize;

use super::mistakes::Mistakes;
use super::secret::SecretText;
use super::signature::{field_name, is_taken};
use super::structure::Path;
use crate::identity::Attribute;
use crate::identity::bridge::Bridge;
use crate::route::is_loopback_host;
use crate::secret::Secret;
use crate::upstream::Upstream;

/// A password that is shorter can be tried.
const LEAST: usize = 16;
/// More than any app takes.
const MOST: usize = 256;

/// `[site.bridge]`
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BridgeTable {
    /// A field in the manner of `REMOTE_USER`, which the app believes.
    pub remote_user: Option<RemoteUserTable>,
    /// Basic credentials: the member id for a username, and a password that is the same for all members. A member whose id
    /// holds a colon gets 403, for such an id can be no username (RFC 7617 §2).
    pub basic: Option<BasicTable>,
}

/// `[site.bridge.remote_user]`
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RemoteUserTable {
    /// Name of the field, such as `"X-Remote-User"`.
    pub field: String,
    /// Which id it holds: `"member_id"` or `"member_unit_id"`. Default: `"member_id"`.
    #[serde(default)]
    pub holds: HoldsChoice,
}

/// Which id the field of a bridge holds.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HoldsChoice {
    /// The person.
    #[default]
    MemberId,
    /// The person's unit.
    MemberUnitId,
}

/// `[site.bridge.basic]`
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BasicTable {
    /// The password, which gateway and app share: whoever knows it and reaches the app can be any member there.
    pub password: SecretText,
}

/// What the app behind a site is told besides the identity fields, whose names are `taken`.
pub(super) fn bridge(
    table: &BridgeTable,
    path: &Path,
    taken: &[HeaderName],
    mistakes: &mut Mistakes<'_>,
) -> Bridge {
    if table.remote_user.is_none() && table.basic.is_none() && !mistakes.has_lost_of(path) {
        mistakes.note(path, "this bridge leads nowhere", "remote_user = { … } or basic = { … }");
    }
    let basic = table.basic.as_ref().and_then(|table| password(table, &path.key("basic"), mistakes));
    let credentials = Bridge { remote_user: None, basic };
    for name in credentials.names().filter(|name| is_taken(name, taken)) {
        let message = format!("an identity field is called {name}, which these credentials need");
        mistakes.note(&path.key("basic"), message, "another name in [identity]");
    }
    let remote_user = table.remote_user.as_ref().and_then(|table| {
        let path = path.key("remote_user").key("field");
        let name = field_name(&table.field, &path, mistakes)?;
        let ours: Vec<HeaderName> = taken.iter().chain(credentials.names()).cloned().collect();
        if is_taken(&name, &ours) {
            mistakes.note(
                &path,
                "another field of ours has this name, as some upstreams read it",
                "a name of its own",
            );
        }
        let attribute = match table.holds {
            HoldsChoice::MemberId => Attribute::MemberId,
            HoldsChoice::MemberUnitId => Attribute::MemberUnitId,
        };
        Some((attribute, name))
    });
    Bridge { remote_user, ..credentials }
}

fn password(table: &BasicTable, path: &Path, mistakes: &mut Mistakes<'_>) -> Option<Secret> {
    let path = path.key("password");
    let password = mistakes.secret(&table.password, &path)?;
    let is_fit = |text: &str| text.len() <= MOST && !text.chars().any(char::is_control);
    if !password.expose_str().is_some_and(is_fit) {
        let message = "this cannot be the password of Basic credentials (RFC 7617 §2)";
        mistakes.note(&path, message, "text of at most 256 bytes without control characters");
    }
    Some(password)
}

/// What an operator should know of a bridge: it is as good as the wall around the app.
pub(super) fn warn(site: &str, bridge: &Bridge, upstream: &Upstream, warnings: &mut Vec<String>) {
    if bridge.basic.as_ref().is_some_and(|password| password.expose().len() < LEAST) {
        warnings.push(format!(
            "{site}: the password of [site.bridge.basic] is shorter than {LEAST} characters, and can be tried by whoever \
             reaches the app"
        ));
    }
    for (target, _) in upstream.targets() {
        let Some((host, port)) = target.host_and_port().filter(|(host, _)| !is_loopback_host(host)) else {
            continue;
        };
        if bridge.basic.is_some() && !target.is_secure() {
            warnings.push(format!(
                "{site}: the password of [site.bridge.basic] travels in the clear to {host}:{port}: let the app be an \
                 https:// one"
            ));
        }
        if let Some((_, name)) = &bridge.remote_user {
            warnings.push(format!(
                "{site}: the app at {host}:{port} believes {name} from whoever reaches it: let nobody but this gateway \
                 reach it"
            ));
        }
    }
}
