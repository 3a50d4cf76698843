//! `schema`: the JSON Schema of `gateway.toml`, for editors; or the reference, for people.

use std::io::Write;

use super::CommandError;
use crate::config;

/// Prints the schema, or the reference.
///
/// # Errors
/// Where standard output is closed.
pub fn command(reference: bool, output: &mut impl Write) -> Result<(), CommandError> {
    let schema = config::json_schema();
    if reference {
        write!(output, "{}", config::reference::markdown(&schema))?;
    } else {
        writeln!(output, "{schema:#}")?;
    }
    Ok(())
}
