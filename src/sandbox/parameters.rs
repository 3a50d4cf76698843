//! Parameters as OAuth means them: names with at most one value each, from a query or from one of three kinds of body.
//!
//! A repeated name is an error and an empty value is none at all (RFC 6749 §3.1, §3.2). Which kind of body an endpoint
//! takes is left to the vendor.

use bytes::Bytes;
use http::{Request, header};
use http_body_util::{BodyDataStream, Full};
use multer::Multipart;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};
use url::form_urlencoded;

use super::journal::{RecordedRequest, media_type};

/// A body that cannot be read, and the rule it breaks.
#[derive(Debug)]
pub(super) struct Malformed(pub(super) &'static str);

/// The parameters of one request, in their order.
pub(super) struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// Those of a query or of an urlencoded body.
    pub(super) fn urlencoded(text: &[u8]) -> Self {
        Self(form_urlencoded::parse(text).into_owned().collect())
    }

    /// Those of a token request, whichever way they are written: Daxko's tutorials send multipart/form-data, its API
    /// definition says JSON, and modules in production send application/x-www-form-urlencoded.
    pub(super) async fn of_body(
        request: &Request<Bytes>,
        entry: &mut RecordedRequest,
    ) -> Result<Self, Malformed> {
        let parameters = match media_type(request).as_str() {
            "multipart/form-data" => Self::multipart(request).await?,
            "application/x-www-form-urlencoded" => Self::urlencoded(request.body()),
            "application/json" => Self::json(request.body())?,
            _ => {
                let rule =
                    "a token request is multipart/form-data, application/x-www-form-urlencoded or JSON";
                return Err(Malformed(rule));
            }
        };
        entry.note(parameters.iter());
        if parameters.repeat_a_name() {
            return Err(Malformed("a parameter is sent at most once (RFC 6749 §3.2)"));
        }
        Ok(parameters)
    }

    async fn multipart(request: &Request<Bytes>) -> Result<Self, Malformed> {
        let broken = || Malformed("the multipart body is malformed");
        let field = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let boundary = multer::parse_boundary(field.unwrap_or("")).map_err(|_| broken())?;
        let mut parts = Multipart::new(BodyDataStream::new(Full::new(request.body().clone())), boundary);
        let mut parameters = Vec::new();
        while let Some(part) = parts.next_field().await.map_err(|_| broken())? {
            let name = part.name().ok_or_else(broken)?.to_owned();
            let value = part.bytes().await.map_err(|_| broken())?;
            parameters.push((name, String::from_utf8(value.into()).map_err(|_| broken())?));
        }
        Ok(Self(parameters))
    }

    /// Those of a JSON object; every value in it is a string.
    pub(super) fn json(body: &[u8]) -> Result<Self, Malformed> {
        let broken = || Malformed("the JSON body is no object of strings");
        let object: Map<String, Value> = serde_json::from_slice(body).map_err(|_| broken())?;
        let parameters = object.into_iter().map(|(name, value)| match value {
            Value::String(text) => Ok((name, text)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
                Err(broken())
            }
        });
        parameters.collect::<Result<_, _>>().map(Self)
    }

    /// The value of a parameter; nothing where it is missing or empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(known, value)| *known == name && !value.is_empty()).map(|(_, value)| value)
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Whether a name comes more than once.
    pub(super) fn repeat_a_name(&self) -> bool {
        let mut names: Vec<_> = self.iter().map(|(name, _)| name).collect();
        names.sort_unstable();
        names.windows(2).any(|pair| pair[0] == pair[1])
    }
}

/// The only segment of a path, decoded.
pub(super) fn segment(path: &str) -> Option<String> {
    if path.is_empty() || path.contains('/') {
        return None;
    }
    percent_decode_str(path).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_value_is_no_value() {
        let parameters = Parameters::urlencoded(b"code=&state=a%20b");
        assert_eq!(parameters.get("code"), None);
        assert_eq!(parameters.get("state"), Some("a b"));
    }
}
