//! `explain`: what would become of a request, as the rooms that serve see it.
//!
//! The request goes through a gateway of this configuration, in this process and over a connection of its own; only the app
//! behind it is another one, which keeps what it is sent (`rehearsal`). So what is shown is what is done, and no second
//! opinion. Neither the app nor the store of revocations is asked. What is secret is not shown (`shown`).

mod rehearsal;
mod shown;

use std::io::Write;
use std::net::IpAddr;
use std::path::Path;

use http::header::{ACCEPT, CONTENT_LENGTH, COOKIE, HOST, HeaderName, HeaderValue, TRANSFER_ENCODING};
use http::{Method, Uri};

use self::rehearsal::{Rehearsal, rehearse};
use super::check::{access, surroundings};
use super::{CommandError, source};
use crate::config::AccessChoice;
use crate::config::assemble::{self, Assembled};
use crate::gateway::site::Site;
use crate::member::{Member, MemberId, MemberUnitId, Profile, ProviderName};
use crate::message::{Fields, Request};
use crate::random;
use crate::route::NoSite;
use crate::route::path::Readings;
use crate::route::rule::{Access, Rule, Unauthenticated};
use crate::server::{Arrival, Entrance};
use crate::session::{Session, SessionId};
use crate::time::UnixTime;

/// A request, and whose.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The method, such as GET.
    method: Method,
    /// The whole address, such as `https://members.example.org/classes?week=2`.
    #[arg(value_name = "URL")]
    url: Uri,
    /// As this member, with a session that begins now: member:ID.
    #[arg(long = "as", value_name = "member:ID", value_parser = member_id)]
    member: Option<MemberId>,
    /// The member's unit; the same as the member id, if not given.
    #[arg(long, value_name = "ID", requires = "member", value_parser = unit_id)]
    unit: Option<MemberUnitId>,
    /// The member's provider; the first of the site, if not given.
    #[arg(long, value_name = "NAME", requires = "member", value_parser = provider_name)]
    provider: Option<ProviderName>,
    /// A field of the request, as often as there are some: 'Name: value'.
    #[arg(long = "header", value_name = "NAME: VALUE", value_parser = field)]
    fields: Vec<(HeaderName, HeaderValue)>,
    /// The address from which it comes to the gateway.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    from: IpAddr,
}

fn member_id(text: &str) -> Result<MemberId, String> {
    let id = text.strip_prefix("member:").ok_or("as whom is written member:ID")?;
    MemberId::new(id.to_owned()).map_err(|error| format!("the id {error}"))
}

fn unit_id(text: &str) -> Result<MemberUnitId, String> {
    MemberUnitId::new(text.to_owned()).map_err(|error| format!("the id {error}"))
}

fn provider_name(text: &str) -> Result<ProviderName, String> {
    ProviderName::new(text.to_owned()).map_err(|error| format!("the name {error}"))
}

fn field(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let (name, value) = text.split_once(':').ok_or("a field is written 'Name: value'")?;
    let name = HeaderName::try_from(name.trim()).map_err(|_| "there is no such name of a field")?;
    let value = HeaderValue::try_from(value.trim()).map_err(|_| "this is no value of a field")?;
    if name == CONTENT_LENGTH || name == TRANSFER_ENCODING {
        return Err("the request is explained without a body".to_owned());
    }
    Ok((name, value))
}

/// Prints what would become of a request.
///
/// # Errors
/// Where the configuration is not as it should be, or the request makes no sense.
pub fn command(config: &Path, arguments: &Arguments, output: &mut impl Write) -> Result<(), CommandError> {
    let (source, folder) = source(config)?;
    let loaded = assemble::load(&source)?;
    let surroundings = surroundings(folder);
    let assembled = loaded.assemble(&surroundings)?;
    let asked = Asked::new(arguments, &assembled, surroundings.clock.now())?;
    let try_it = |request| {
        rehearse(&loaded, &surroundings, request, asked.arrival)
            .map_err(|error| CommandError::Failed(format!("the request cannot be tried: {error}")))
    };
    let rehearsal = try_it(asked.request.clone())?;
    asked.print(arguments, &assembled, &rehearsal, output)?;
    if rehearsal.arrived.is_none()
        && let Some(navigation) = asked.as_navigation(arguments)
    {
        shown::print_difference(&rehearsal.answer, &try_it(navigation)?.answer, output)?;
    }
    Ok(())
}

/// The request as it comes to the gateway, and what is known of it before anybody looks at it.
struct Asked<'a> {
    request: Request<()>,
    arrival: Arrival,
    /// The site that it is for.
    site: Result<&'a Site, NoSite>,
    session: Option<Session>,
}

impl<'a> Asked<'a> {
    fn new(arguments: &Arguments, assembled: &'a Assembled, now: UnixTime) -> Result<Self, CommandError> {
        let Arguments { method, url, fields, from, .. } = arguments;
        let usage = |what: &str| CommandError::Usage(what.to_owned());
        let scheme = url.scheme_str().filter(|scheme| matches!(*scheme, "http" | "https"));
        let (Some(scheme), Some(authority)) = (scheme, url.authority()) else {
            return Err(usage(
                "the address is no whole one\n\nWrite it as a browser shows it: https://members.example.org/classes",
            ));
        };
        if let Ok(readings) = Readings::of(url.path().as_bytes())
            && readings.iter().any(|reading| reading.starts_with(b"/_gateway/callback/"))
        {
            return Err(usage(
                "a callback is not explained: the vendor would be asked, and its code be spent\n\n`member-gateway check \
                 --online` asks the vendors without one.",
            ));
        }
        let target = url.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
        let mut request = Request::new(());
        *request.method_mut() = method.clone();
        *request.uri_mut() = target.parse().map_err(|_| usage("the address is not well formed"))?;
        let head = request.headers_mut();
        let host = HeaderValue::try_from(authority.as_str()).map_err(|_| usage("the host is no text"))?;
        head.insert(HOST, host);
        for (name, value) in fields {
            head.append(name, value.clone());
        }
        let door = |wanted| assembled.listen.iter().any(|listen| listen.door.entrance() == wanted);
        let entrance = match scheme {
            "https" if door(Entrance::Tls) => Entrance::Tls,
            "http" if door(Entrance::Redirect) => Entrance::Redirect,
            _ => Entrance::Plain,
        };
        let arrival = Arrival { peer: *from, entrance, tls: None, is_nameless: false };
        let gateway = &assembled.gateway;
        let client = gateway.trusted_proxies.client(arrival, request.headers());
        let site = gateway.site_of(&request, &client, entrance).map(|index| &gateway.sites[index]);
        let session = match (&arguments.member, &site) {
            (Some(id), Ok(site)) => Some(session(id, arguments, site, now)?),
            (Some(_), Err(_)) => {
                let what = "--as needs a site, and the request is for none of the configuration";
                return Err(CommandError::Usage(format!("{what}\n\n{}", sites(assembled))));
            }
            (None, _) => None,
        };
        if let (Some(session), Ok(site)) = (&session, &site) {
            add_cookie(request.headers_mut(), &site.cookies.set_session(session));
        }
        Ok(Self { request, arrival, site, session })
    }

    /// The same as a browser sends it for a person, where nothing was said of who reads the answer. A cookie is not sent
    /// twice: the vendor might be asked because of it.
    fn as_navigation(&self, arguments: &Arguments) -> Option<Request<()>> {
        let has_said = arguments.fields.iter().any(|(name, _)| *name == ACCEPT || *name == COOKIE);
        let mut request = self.request.clone();
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static("text/html"));
        (!has_said).then_some(request)
    }

    fn print(
        &self,
        arguments: &Arguments,
        assembled: &Assembled,
        rehearsal: &Rehearsal,
        output: &mut impl Write,
    ) -> Result<(), CommandError> {
        let Arguments { method, url, .. } = arguments;
        writeln!(output, "{method} {}\n", shown::address(&url.to_string()))?;
        writeln!(output, "from        {}{}", arguments.from, self.standing(assembled))?;
        match &self.site {
            Ok(site) => {
                writeln!(output, "site        {}", site.origin.as_str())?;
                print_rule(site, method, url.path(), output)?;
            }
            Err(error) => {
                writeln!(output, "site        none: {error}")?;
                writeln!(output, "            {}", sites(assembled))?;
            }
        }
        match &self.session {
            Some(Session { member, .. }) => {
                let Member { provider, id, unit_id, .. } = member;
                writeln!(
                    output,
                    "as          member {id} of unit {unit_id} ({provider}), signed in just now"
                )?;
                if arguments.unit.is_none() {
                    writeln!(
                        output,
                        "            unit not given; the same as the id is assumed: --unit ID says it"
                    )?;
                }
            }
            None => writeln!(output, "as          nobody who has signed in, unless a cookie says so")?,
        }
        writeln!(output)?;
        match (&rehearsal.arrived, &self.site) {
            (Some(arrived), site) => {
                let targets = site.as_ref().map_or_else(
                    |_| "an app".to_owned(),
                    |site| {
                        let targets = site.upstream.targets().map(|(target, _)| target.as_str());
                        targets.collect::<Vec<_>>().join(" or ")
                    },
                );
                writeln!(output, "It goes on to {targets}, as\n")?;
                shown::print_changes(&self.request, arrived, self.site.ok(), output)?;
                shown::print_signature_base(arrived, self.site.ok(), output)?;
            }
            (None, _) => shown::print_answer(&rehearsal.answer, output)?,
        }
        Ok(())
    }

    /// Whether the peer is one whose forwarding fields are believed.
    fn standing(&self, assembled: &Assembled) -> &'static str {
        if assembled.gateway.trusted_proxies.trusts(self.arrival.peer) {
            ", one of trusted_proxies: its forwarding fields are believed"
        } else {
            ""
        }
    }
}

/// Which sites there are, for whoever has asked for none of them.
fn sites(assembled: &Assembled) -> String {
    let sites: Vec<&str> = assembled.gateway.sites.iter().map(|site| site.origin.as_str()).collect();
    format!("sites are: {}; write the address as `public_url` has it", sites.join(", "))
}

/// The session of whoever asks, sealed at this moment.
fn session(
    id: &MemberId,
    arguments: &Arguments,
    site: &Site,
    now: UnixTime,
) -> Result<Session, CommandError> {
    let mut names = site.login.providers().iter().map(|provider| &provider.name);
    let provider = match &arguments.provider {
        Some(wanted) => names.find(|name| *name == wanted),
        None => names.next(),
    };
    let Some(provider) = provider else {
        let names: Vec<&str> = site.login.providers().iter().map(|provider| provider.name.as_str()).collect();
        let names = names.join(", ");
        return Err(CommandError::Usage(format!(
            "the site has no such provider\n\nIts providers are: {names}."
        )));
    };
    let same_as_id = || MemberUnitId::new(id.to_bytes()).expect("both kinds of id are of the same form");
    let member = Member {
        provider: provider.clone(),
        id: id.clone(),
        unit_id: arguments.unit.clone().unwrap_or_else(same_as_id),
        profile: Profile::default(),
    };
    Ok(Session::begin(SessionId(random::bytes()), member, now, now))
}

/// Sends a cookie as a browser does that was told to keep it.
fn add_cookie(fields: &mut Fields, set: &HeaderValue) {
    let pair = set.as_bytes().split(|&byte| byte == b';').next().unwrap_or_default();
    let before = fields.get(COOKIE).map(|cookies| [cookies.as_bytes(), b"; "].concat()).unwrap_or_default();
    if let Ok(cookies) = HeaderValue::from_bytes(&[&before, pair].concat()) {
        fields.insert(COOKIE, cookies);
    }
}

/// Prints every reading of a path, and the rule under which it falls.
fn print_rule(site: &Site, method: &Method, path: &str, output: &mut impl Write) -> std::io::Result<()> {
    let Ok(readings) = Readings::of(path.as_bytes()) else {
        return writeln!(output, "path        can be read in too many ways, so it is refused");
    };
    let is_ours = site.owns(&readings);
    for reading in readings.iter() {
        if is_ours {
            writeln!(output, "path        {}", reading.escape_ascii())?;
            continue;
        }
        let rule = described(site, site.rules.first_match(method, reading));
        writeln!(output, "path        {}", reading.escape_ascii())?;
        writeln!(output, "  rule      {rule}")?;
    }
    if is_ours {
        writeln!(output, "  rule      none: what may begin with /_gateway/ is the gateway's own")?;
    } else if site.rules.find(method, &readings).is_err() {
        writeln!(output, "            These are different rules, so the path is refused.")?;
    }
    Ok(())
}

/// A rule as the configuration has it.
fn described(site: &Site, rule: &Rule) -> String {
    let access = access(match rule.access {
        Access::Public => AccessChoice::Public,
        Access::Optional => AccessChoice::Optional,
        Access::Member => AccessChoice::Member,
        Access::Deny => AccessChoice::Deny,
    });
    let Some(place) = site.rules.place_of(rule) else {
        return format!("{access}, since no rule of the site matches");
    };
    let methods = rule.methods.as_ref().map(|methods| {
        let methods: Vec<&str> = methods.iter().map(Method::as_str).collect();
        format!(" {}", methods.join(" "))
    });
    let only =
        if rule.allow == crate::route::rule::Allow::default() { "" } else { ", for some members only" };
    let wish = match rule.unauthenticated {
        Unauthenticated::Auto => "",
        Unauthenticated::Login => ", strangers are sent to sign in",
        Unauthenticated::Status401 => ", strangers get 401",
    };
    let (number, of) = (place + 1, site.rules.written().len());
    format!("{number} of {of}: {access} {}{}{only}{wish}", rule.pattern, methods.unwrap_or_default())
}
