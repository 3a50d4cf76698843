//! `[provider.identity]` of a vendor without ids of its own: token, userinfo or directory, checked.
//!
//! A source that is written and not asked is a mistake: whoever wrote it relies on it.

pub(in crate::config) mod table;

use std::collections::BTreeMap;
use std::time::Duration;

use http::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::Method;
use url::Url;

use super::{is_pointer, vendor_url};
use crate::config::mistakes::Mistakes;
use crate::config::secret::SecretText;
use crate::config::structure::Path;
use crate::config::{
    DirectoryTable, IdentitySourceChoice, IdentitySourceTable, OnMissingChoice, SameAsChoice, UnitIdChoice,
    UnitIdSameAs, UnitIdValue, UserinfoMethod, UserinfoTable,
};
use crate::member::MemberUnitId;
use crate::provider::claims::{Claims, ProfilePointers, UnitId};
use crate::provider::directory::{Directory, FileDirectory, FileError, Headers, RemoteDirectory, Template};
use crate::provider::running::RunningProviders;
use crate::provider::xoxoday::{IdSource, Identity, Userinfo};

/// What the rest of the provider's table means for its identity.
pub(super) struct Context<'a> {
    /// Whether the token response says nothing about the member.
    pub(super) names_nobody: bool,
    /// What a user-details call asks if nothing is written.
    pub(super) userinfo_url: Option<Url>,
    /// Whether a host belongs to another environment of the vendor.
    pub(super) is_foreign: &'a dyn Fn(&str) -> bool,
    /// How long any one answer may take.
    pub(super) timeout: Duration,
    /// The providers that are there already.
    pub(super) running: &'a RunningProviders,
}

/// Who signed in, and who says so.
pub(super) fn identity(
    table: &IdentitySourceTable,
    path: &Path,
    context: &Context<'_>,
    mistakes: &mut Mistakes<'_>,
) -> Option<Identity> {
    let userinfo = userinfo(table, path, context, mistakes);
    let ids = ids(table, path, context, mistakes);
    let profile = ProfilePointers {
        first_name: optional(table.first_name.as_ref(), &path.key("first_name"), mistakes)?,
        last_name: optional(table.last_name.as_ref(), &path.key("last_name"), mistakes)?,
        email: pointer(table.email.as_ref(), "/email", &path.key("email"), mistakes)?,
    };
    Some(Identity { userinfo: userinfo?, ids: ids?, profile })
}

/// What follows from the table without being written there.
pub(super) fn notes(table: &IdentitySourceTable) -> Vec<String> {
    let is_unit_of_one = match &table.member_unit_id {
        Some(UnitIdChoice::SameAs(_)) => true,
        None => table.from != IdentitySourceChoice::Directory,
        Some(UnitIdChoice::Pointer(_) | UnitIdChoice::Value(_)) => false,
    };
    let mut notes = Vec::new();
    if is_file(table) {
        let written = [
            ("member_id", table.member_id.is_some()),
            ("member_unit_id", table.member_unit_id.is_some()),
            ("lowercase", table.lowercase.is_some()),
        ];
        notes.extend(written.into_iter().filter(|(_, is_there)| *is_there).map(|(key, _)| {
            format!("`{key}` has no effect: the columns of the directory say it, and `email` points to the address it is searched for")
        }));
    } else if is_unit_of_one {
        notes.push(
            "the unit id is the same as the member id (member_unit_id = { same_as = \"member_id\" })"
                .to_owned(),
        );
    }
    notes
}

/// Whether the ids come from the columns of a file.
fn is_file(table: &IdentitySourceTable) -> bool {
    table.from == IdentitySourceChoice::Directory
        && table.directory.as_ref().is_some_and(|directory| directory.file.is_some())
}

fn ids(
    table: &IdentitySourceTable,
    path: &Path,
    context: &Context<'_>,
    mistakes: &mut Mistakes<'_>,
) -> Option<IdSource> {
    if table.from == IdentitySourceChoice::Directory {
        let Some(directory) = &table.directory else {
            let expected = "directory = { file = \"members.csv\" } or { url = \"https://…{email}\" }";
            if !mistakes.is_lost(&path.key("directory")) {
                mistakes.note(&path.key("from"), "there is no directory to look into", expected);
            }
            return None;
        };
        let directory = self::directory(table, directory, path, context, mistakes)?;
        return Some(IdSource::Directory(directory));
    }
    if table.directory.is_some() && !mistakes.is_lost(&path.key("from")) {
        let expected = "from = \"directory\", or no directory";
        mistakes.note(&path.key("directory"), "this directory is not looked into", expected);
        return None;
    }
    let member_id = pointer(table.member_id.as_ref(), "/email", &path.key("member_id"), mistakes)?;
    let unit_id = unit_id(table.member_unit_id.as_ref(), UnitId::SameAsMember, path, mistakes)?;
    Some(IdSource::Answer(Claims { member_id, unit_id, lowercase: table.lowercase.unwrap_or(true) }))
}

/// The user-details call, or none; nothing where it is wrong.
fn userinfo(
    table: &IdentitySourceTable,
    path: &Path,
    context: &Context<'_>,
    mistakes: &mut Mistakes<'_>,
) -> Option<Option<Userinfo>> {
    let is_wanted = table.from == IdentitySourceChoice::Userinfo;
    let here = path.key("userinfo");
    let Some(call) = &table.userinfo else {
        if is_wanted {
            let expected = "a table [provider.identity.userinfo] with what the vendor documents";
            if !mistakes.is_lost(&here) {
                mistakes.note(&path.key("from"), "there is no user-details call to make", expected);
            }
            return None;
        }
        if context.names_nobody {
            mistakes.note_with_help(
                path,
                "the user grant does not say who signed in",
                "from = \"userinfo\", or a userinfo beside the directory",
                "Xoxoday puts the member's address into the answer of the company grant alone",
            );
            return None;
        }
        return Some(None);
    };
    if table.from == IdentitySourceChoice::Token {
        mistakes.note(&here, "this call is not made", "from = \"userinfo\" or \"directory\"");
        return None;
    }
    let method = method(call, &here, mistakes);
    let url = match &call.url {
        Some(text) => vendor_url(text, &here.key("url"), mistakes),
        None => context.userinfo_url.clone(),
    };
    if url.as_ref().and_then(Url::host_str).is_some_and(|host| (context.is_foreign)(host))
        && call.url.is_some()
    {
        let message = "this address belongs to another environment";
        mistakes.note(&here.key("url"), message, "one environment for all addresses");
        return None;
    }
    // The bearer is the member's token.
    let taken = ["authorization", "accept"];
    let headers = headers(&call.headers, &taken, &here.key("headers"), mistakes);
    Some(Some(Userinfo { method: method?, url: url?, headers: headers?, body: call.body.clone() }))
}

fn method(call: &UserinfoTable, path: &Path, mistakes: &mut Mistakes<'_>) -> Option<Method> {
    match (call.method, &call.body) {
        (Some(UserinfoMethod::Get), Some(_)) => {
            mistakes.note(&path.key("body"), "a GET has no body", "method = \"POST\"");
            None
        }
        (Some(UserinfoMethod::Get), None) | (None, None) => Some(Method::GET),
        (Some(UserinfoMethod::Post), _) | (None, Some(_)) => Some(Method::POST),
    }
}

fn directory(
    table: &IdentitySourceTable,
    directory: &DirectoryTable,
    path: &Path,
    context: &Context<'_>,
    mistakes: &mut Mistakes<'_>,
) -> Option<Directory> {
    // The only answer there is, so far; a second one does not compile until it is thought of here.
    let OnMissingChoice::Deny = directory.on_missing;
    let here = path.key("directory");
    match (&directory.file, &directory.url) {
        (Some(file), None) => {
            if !directory.headers.is_empty() {
                mistakes.note(&here.key("headers"), "a file is not asked by HTTP", "headers beside a url");
            }
            opened(file, &here.key("file"), context.running, mistakes).map(Directory::File)
        }
        (None, Some(url)) => remote(url, table, directory, path, context, mistakes),
        (Some(_), Some(_)) => {
            mistakes.note(&here, "a directory is either a file or an address", "one of file and url");
            None
        }
        (None, None) => {
            mistakes.note(
                &here,
                "this directory is nowhere",
                "file = \"members.csv\" or url = \"https://…{email}\"",
            );
            None
        }
    }
}

fn opened(
    file: &str,
    path: &Path,
    running: &RunningProviders,
    mistakes: &mut Mistakes<'_>,
) -> Option<FileDirectory> {
    let file = mistakes.file(file);
    if let Some(running) = running.directory(&file) {
        // It reads the file by itself, and keeps its last good rows while somebody writes there.
        running.look_again();
        return Some(running);
    }
    match FileDirectory::open(file) {
        Ok(directory) => Some(directory),
        Err(error) => {
            let help = match error {
                FileError::Unreadable(_) => {
                    "the path starts at the folder of this file; the gateway has to be able to read it"
                }
                FileError::Separator => {
                    "spreadsheets call the right kind “CSV UTF-8 (comma delimited)”, or ask for the separator"
                }
                FileError::TooLarge
                | FileError::NoColumn(_)
                | FileError::DoubledColumn(_)
                | FileError::Columns { .. }
                | FileError::NotText(_)
                | FileError::Address { .. }
                | FileError::Id { .. } => {
                    "columns are separated by commas; text with a comma in it stands in double quotes; ids have no blanks"
                }
            };
            let message = format!("this directory cannot be used: {error}");
            let expected = "CSV in UTF-8 whose first line is email,member_id,member_unit_id";
            mistakes.note_with_help(path, message, expected, help);
            None
        }
    }
}

fn remote(
    text: &str,
    table: &IdentitySourceTable,
    directory: &DirectoryTable,
    path: &Path,
    context: &Context<'_>,
    mistakes: &mut Mistakes<'_>,
) -> Option<Directory> {
    let here = path.key("directory").key("url");
    let template = match Template::new(text) {
        Ok(template) => vendor_url(template.example().as_str(), &here, mistakes).map(|_| template),
        Err(error) => {
            let expected = "\"https://ids.example.org/members?email={email}\"";
            mistakes.note(&here, format!("this address does not fit: {error}"), expected);
            None
        }
    };
    let headers = headers(&directory.headers, &["accept"], &path.key("directory").key("headers"), mistakes);
    let member_id = pointer(table.member_id.as_ref(), "/member_id", &path.key("member_id"), mistakes)?;
    let default = UnitId::Pointer("/member_unit_id".to_owned());
    let unit_id = unit_id(table.member_unit_id.as_ref(), default, path, mistakes)?;
    // The operator's own ids are taken as they are.
    let claims = Claims { member_id, unit_id, lowercase: table.lowercase.unwrap_or(false) };
    match RemoteDirectory::new(template?, headers?, claims, context.timeout) {
        Ok(remote) => Some(Directory::Remote(Box::new(remote))),
        Err(error) => {
            mistakes.note(&here, format!("this machine cannot speak TLS: {error}"), "");
            None
        }
    }
}

fn pointer(
    written: Option<&String>,
    default: &str,
    path: &Path,
    mistakes: &mut Mistakes<'_>,
) -> Option<String> {
    let Some(text) = written else { return Some(default.to_owned()) };
    if !is_pointer(text) {
        mistakes.note(path, "this is no JSON pointer (RFC 6901)", "such as \"/email\"");
        return None;
    }
    // An id goes to the app and into logs of the app; a token must not.
    if matches!(text.as_str(), "/access_token" | "/refresh_token") {
        mistakes.note(
            path,
            "a token is no id: it is a secret, and another one at each login",
            "such as \"/email\"",
        );
        return None;
    }
    Some(text.clone())
}

fn optional(written: Option<&String>, path: &Path, mistakes: &mut Mistakes<'_>) -> Option<Option<String>> {
    match written {
        None => Some(None),
        Some(text) => pointer(Some(text), "", path, mistakes).map(Some),
    }
}

fn unit_id(
    written: Option<&UnitIdChoice>,
    default: UnitId,
    path: &Path,
    mistakes: &mut Mistakes<'_>,
) -> Option<UnitId> {
    let path = path.key("member_unit_id");
    match written {
        None => Some(default),
        Some(UnitIdChoice::Pointer(text)) => pointer(Some(text), "", &path, mistakes).map(UnitId::Pointer),
        Some(UnitIdChoice::SameAs(UnitIdSameAs { same_as: SameAsChoice::MemberId })) => {
            Some(UnitId::SameAsMember)
        }
        Some(UnitIdChoice::Value(UnitIdValue { value })) => match MemberUnitId::new(value.clone()) {
            Ok(unit_id) => Some(UnitId::Value(unit_id)),
            Err(error) => {
                mistakes.note(&path, format!("this unit id {error}"), "1 to 254 characters without blanks");
                None
            }
        },
    }
}

/// Fields of a request, each a text or a secret; `taken` are those that the gateway writes itself.
fn headers(
    written: &BTreeMap<String, SecretText>,
    taken: &[&str],
    path: &Path,
    mistakes: &mut Mistakes<'_>,
) -> Option<Headers> {
    const FRAMING: [&str; 8] =
        ["host", "content-length", "transfer-encoding", "connection", "te", "trailer", "upgrade", "expect"];
    let mut fields = HeaderMap::new();
    let mut all_good = true;
    for (name, text) in written {
        let path = path.key(name.as_str());
        let Ok(field) = HeaderName::from_bytes(name.as_bytes()) else {
            mistakes.note(&path, "this is no field name", "such as \"X-Api-Key\"");
            all_good = false;
            continue;
        };
        if taken.contains(&field.as_str()) || FRAMING.contains(&field.as_str()) {
            mistakes.note(&path, "the gateway sends this field itself", "another field");
            all_good = false;
            continue;
        }
        let Some(secret) = mistakes.secret(text, &path) else {
            all_good = false;
            continue;
        };
        let Ok(mut value) = HeaderValue::from_bytes(secret.expose()) else {
            mistakes.note(&path, "this value does not fit into a field", "one line of text");
            all_good = false;
            continue;
        };
        value.set_sensitive(true);
        if fields.insert(field, value).is_some() {
            mistakes.note(&path, "this field stands here twice", "each field once");
            all_good = false;
        }
    }
    all_good.then_some(Headers(fields))
}
