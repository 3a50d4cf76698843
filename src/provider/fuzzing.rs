//! What the fuzz targets reach in this room that is otherwise its own.

use http::StatusCode;

use super::ProviderError;
use super::token_endpoint::{self, Answer};
use crate::secret::Secret;

/// Reads a token response that came with this status.
///
/// # Errors
/// Where it is none, or a refusal.
pub fn token(status: StatusCode, body: &[u8]) -> Result<Secret, ProviderError> {
    const TOKEN: &str = "token endpoint";
    let answer = Answer::read(TOKEN, status, None, None, body)?;
    token_endpoint::token_response(&answer, TOKEN).map(|response| response.access_token)
}

/// What stands in an answer about a member that came with this status.
///
/// # Errors
/// Where it is a refusal.
pub fn userinfo(status: StatusCode, body: &[u8]) -> Result<Option<serde_json::Value>, ProviderError> {
    const USERINFO: &str = "user endpoint";
    let answer = Answer::read(USERINFO, status, None, None, body)?;
    token_endpoint::refused(&answer, USERINFO).map_or(Ok(answer.json), Err)
}
