//! Messages: requests and answers as one room hands them to the next.
//!
//! They are those of the `http` crate, but for their [`Fields`], which are kept as the lines they came in. What is not ours
//! speaks of the others, and the way there and back is a conversion.

mod fields;

use http::{Extensions, Method, StatusCode, Uri, Version};

pub use self::fields::{Fields, Named};

/// A request.
#[derive(Clone, Debug, Default)]
pub struct Request<B> {
    head: RequestHead,
    body: B,
}

/// All of a request but its body.
#[derive(Clone, Debug, Default)]
pub struct RequestHead {
    /// What is to be done.
    pub method: Method,
    /// With what, as it came.
    pub uri: Uri,
    /// Over which HTTP.
    pub version: Version,
    /// What else is said.
    pub headers: Fields,
    /// What goes along with it here.
    pub extensions: Extensions,
}

/// An answer.
#[derive(Clone, Debug, Default)]
pub struct Response<B> {
    head: ResponseHead,
    body: B,
}

/// All of an answer but its body.
#[derive(Clone, Debug, Default)]
pub struct ResponseHead {
    /// What came of the request.
    pub status: StatusCode,
    /// Over which HTTP.
    pub version: Version,
    /// What else is said.
    pub headers: Fields,
    /// What goes along with it here.
    pub extensions: Extensions,
}

/// What requests and answers have in common.
macro_rules! message {
    ($message:ident, $head:ident) => {
        impl<B> $message<B> {
            /// One with nothing said but its body: `GET /`, or 200.
            #[must_use]
            pub fn new(body: B) -> Self {
                Self { head: $head::default(), body }
            }

            /// The way back from [`into_parts`](Self::into_parts).
            #[must_use]
            pub const fn from_parts(head: $head, body: B) -> Self {
                Self { head, body }
            }

            /// Head and body, each for itself.
            #[must_use]
            pub fn into_parts(self) -> ($head, B) {
                (self.head, self.body)
            }

            /// The same with another body.
            #[must_use]
            pub fn map<C>(self, with: impl FnOnce(B) -> C) -> $message<C> {
                $message { head: self.head, body: with(self.body) }
            }

            /// Over which HTTP.
            #[must_use]
            pub const fn version(&self) -> Version {
                self.head.version
            }

            /// The same, to be changed.
            pub const fn version_mut(&mut self) -> &mut Version {
                &mut self.head.version
            }

            /// What else is said.
            #[must_use]
            pub const fn headers(&self) -> &Fields {
                &self.head.headers
            }

            /// The same, to be changed.
            pub const fn headers_mut(&mut self) -> &mut Fields {
                &mut self.head.headers
            }

            /// What goes along with it here.
            #[must_use]
            pub const fn extensions(&self) -> &Extensions {
                &self.head.extensions
            }

            /// The same, to be changed.
            pub const fn extensions_mut(&mut self) -> &mut Extensions {
                &mut self.head.extensions
            }

            /// Its body.
            #[must_use]
            pub const fn body(&self) -> &B {
                &self.body
            }

            /// The same, to be changed.
            pub const fn body_mut(&mut self) -> &mut B {
                &mut self.body
            }
        }
    };
}

message!(Request, RequestHead);
message!(Response, ResponseHead);

impl<B> Request<B> {
    /// What is to be done.
    #[must_use]
    pub const fn method(&self) -> &Method {
        &self.head.method
    }

    /// The same, to be changed.
    pub const fn method_mut(&mut self) -> &mut Method {
        &mut self.head.method
    }

    /// With what, as it came.
    #[must_use]
    pub const fn uri(&self) -> &Uri {
        &self.head.uri
    }

    /// The same, to be changed.
    pub const fn uri_mut(&mut self) -> &mut Uri {
        &mut self.head.uri
    }
}

impl<B> Response<B> {
    /// What came of the request.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        self.head.status
    }

    /// The same, to be changed.
    pub const fn status_mut(&mut self) -> &mut StatusCode {
        &mut self.head.status
    }
}

impl<B> From<http::Request<B>> for Request<B> {
    fn from(request: http::Request<B>) -> Self {
        let (http::request::Parts { method, uri, version, headers, extensions, .. }, body) =
            request.into_parts();
        Self { head: RequestHead { method, uri, version, headers: headers.into(), extensions }, body }
    }
}

impl<B> From<Request<B>> for http::Request<B> {
    fn from(Request { head, body }: Request<B>) -> Self {
        let RequestHead { method, uri, version, headers, extensions } = head;
        let mut request = Self::new(body);
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        *request.version_mut() = version;
        *request.headers_mut() = headers.into();
        *request.extensions_mut() = extensions;
        request
    }
}

impl<B> From<http::Response<B>> for Response<B> {
    fn from(answer: http::Response<B>) -> Self {
        let (http::response::Parts { status, version, headers, extensions, .. }, body) = answer.into_parts();
        Self { head: ResponseHead { status, version, headers: headers.into(), extensions }, body }
    }
}

impl<B> From<Response<B>> for http::Response<B> {
    fn from(Response { head, body }: Response<B>) -> Self {
        let ResponseHead { status, version, headers, extensions } = head;
        let mut answer = Self::new(body);
        *answer.status_mut() = status;
        *answer.version_mut() = version;
        *answer.headers_mut() = headers.into();
        *answer.extensions_mut() = extensions;
        answer
    }
}
