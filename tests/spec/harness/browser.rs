//! A browser: cookies by host, redirects, and a form that it fills in. No script, like the members of 2003.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use bytes::Bytes;
use http::header::{COOKIE, HOST, SET_COOKIE};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use url::Url;

use super::SITE;

/// Where the vendor's log-in forms are.
const FORMS: [&str; 2] = ["/online/auth", "/partners/authorize"];

/// What came back, without redirects having been followed.
#[derive(Clone, Debug)]
pub struct Page {
    pub url: Url,
    pub status: StatusCode,
    pub fields: HeaderMap,
    pub body: String,
}

impl Page {
    /// A field of the answer, or nothing.
    pub fn field(&self, name: &str) -> &str {
        self.fields.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }

    /// Where a redirect leads.
    pub fn location(&self) -> &str {
        self.field("location")
    }

    /// The path and query of the address bar.
    pub fn path_and_query(&self) -> &str {
        &self.url[url::Position::BeforePath..url::Position::AfterQuery]
    }

    /// All `Set-Cookie` fields.
    pub fn set_cookies(&self) -> Vec<String> {
        self.fields.get_all(SET_COOKIE).iter().map(|line| line.to_str().unwrap().to_owned()).collect()
    }

    /// The one `Set-Cookie` field whose name starts so.
    pub fn set_cookie(&self, prefix: &str) -> String {
        let mut found: Vec<String> =
            self.set_cookies().into_iter().filter(|line| line.starts_with(prefix)).collect();
        assert_eq!(found.len(), 1, "{prefix} in {:?}", self.set_cookies());
        found.remove(0)
    }

    /// A parameter of the address that a redirect leads to.
    pub fn location_parameter(&self, name: &str) -> String {
        let url = self.url.join(self.location()).unwrap();
        let value = url.query_pairs().find_map(|(key, value)| (key == name).then(|| value.into_owned()));
        value.unwrap_or_else(|| panic!("{name} in {url}"))
    }
}

/// A parameter of an address, decoded.
pub fn parameter(address: &str, name: &str) -> Option<String> {
    let url = Url::parse(address).unwrap();
    url.query_pairs().find_map(|(key, value)| (key == name).then(|| value.into_owned()))
}

/// An address with one parameter changed, added, or left out.
pub fn with_parameter(address: &str, name: &str, value: Option<&str>) -> String {
    let mut url = Url::parse(address).unwrap();
    let kept: Vec<(String, String)> =
        url.query_pairs().into_owned().filter(|(known, _)| known != name).collect();
    url.query_pairs_mut().clear().extend_pairs(kept).extend_pairs(value.map(|value| (name, value)));
    url.to_string()
}

/// A browser. Clones start with the same cookies and go their own ways.
#[derive(Clone)]
pub struct Browser {
    gateway: SocketAddr,
    /// By host; within, by name.
    cookies: BTreeMap<String, BTreeMap<String, String>>,
    /// The sandbox's member who signs in.
    pub member: (&'static str, &'static str),
}

/// What a browser sends when a person goes to a page.
pub const NAVIGATION: [(&str, &str); 4] = [
    ("accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
    ("sec-fetch-mode", "navigate"),
    ("sec-fetch-dest", "document"),
    ("sec-fetch-site", "none"),
];

impl Browser {
    pub fn new(gateway: SocketAddr) -> Self {
        Self { gateway, cookies: BTreeMap::new(), member: ("rosa", "rosa-swims") }
    }

    /// The same browser at another gateway with the same sites.
    pub fn at(&self, gateway: &super::Gateway) -> Self {
        Self { gateway: gateway.address(), ..self.clone() }
    }

    /// Navigates to a path of the site, or any address, and follows redirects. On the vendor's form, it signs in.
    pub async fn visit(&mut self, address: &str) -> Page {
        let mut page = self.go(address).await;
        for _ in 0..12 {
            if page.status.is_redirection() {
                let next = page.url.join(page.location()).unwrap();
                page = self.go(next.as_str()).await;
            } else if FORMS.contains(&page.url.path())
                && page.status == StatusCode::OK
                && page.body.contains("<form")
            {
                page = self.submit_form(&page).await;
            } else {
                return page;
            }
        }
        panic!("too many redirects, the last one to {}", page.url);
    }

    /// Navigates, and follows no redirect.
    pub async fn go(&mut self, address: &str) -> Page {
        self.request(Method::GET, address, &NAVIGATION, "").await
    }

    /// Goes from a path of the site to the vendor's form and signs in there; returns the address of the callback.
    pub async fn up_to_the_callback(&mut self, path: &str) -> String {
        let mut page = self.go(path).await;
        while page.status.is_redirection() && !FORMS.contains(&page.url.join(page.location()).unwrap().path())
        {
            let next = page.url.join(page.location()).unwrap();
            page = self.go(next.as_str()).await;
        }
        let form = self.go(page.url.join(page.location()).unwrap().as_str()).await;
        assert_eq!(form.status, 200, "{}", form.body);
        let page = self.submit_form(&form).await;
        assert!(page.status.is_redirection(), "{}", page.body);
        page.url.join(page.location()).unwrap().to_string()
    }

    /// Submits the vendor's form with everything that is hidden in it.
    pub async fn submit_form(&mut self, page: &Page) -> Page {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        for input in page.body.split("<input ").skip(1).filter(|input| input.contains("type=\"hidden\"")) {
            let attribute = |name: &str| {
                let value = input.split(&format!("{name}=\"")).nth(1).unwrap().split('"').next().unwrap();
                value.replace("&quot;", "\"").replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
            };
            form.append_pair(&attribute("name"), &attribute("value"));
        }
        form.append_pair("username", self.member.0).append_pair("password", self.member.1);
        let address = page.url.join(page.url.path()).unwrap();
        let form_type = ("content-type", "application/x-www-form-urlencoded");
        let fields = [&NAVIGATION[..], &[form_type]].concat();
        self.request(Method::POST, address.as_str(), &fields, &form.finish()).await
    }

    /// A request as a script sends it.
    pub async fn fetch(&mut self, method: Method, address: &str, fields: &[(&str, &str)]) -> Page {
        let cors = [("accept", "application/json"), ("sec-fetch-mode", "cors"), ("sec-fetch-dest", "empty")];
        self.request(method, address, &[&cors[..], fields].concat(), "").await
    }

    /// A request with just these fields and the cookies.
    pub async fn request(
        &mut self,
        method: Method,
        address: &str,
        fields: &[(&str, &str)],
        body: &str,
    ) -> Page {
        let url = Url::parse(SITE).unwrap().join(address).unwrap();
        let host = url.host_str().unwrap().to_owned();
        let to = if host == "127.0.0.1" {
            SocketAddr::from(([127, 0, 0, 1], url.port().unwrap()))
        } else {
            self.gateway
        };
        let authority = url.port().map_or_else(|| host.clone(), |port| format!("{host}:{port}"));
        let mut request = Request::builder()
            .method(method)
            .uri(&url[url::Position::BeforePath..url::Position::AfterQuery])
            .header(HOST, authority);
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let cookies = self.cookie_field(&host);
        if !cookies.is_empty() {
            request = request.header(COOKIE, cookies);
        }
        let request = request.body(Full::<Bytes>::from(body.to_owned())).unwrap();
        let socket = tokio::net::TcpStream::connect(to).await.unwrap();
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(socket)).await.unwrap();
        tokio::spawn(connection);
        let (head, body) = sender.send_request(request).await.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let page = Page {
            url,
            status: head.status,
            fields: head.headers,
            body: String::from_utf8_lossy(&body).into_owned(),
        };
        self.take_cookies(&host, &page);
        page
    }

    fn cookie_field(&self, host: &str) -> String {
        let cookies = self.cookies.get(host).into_iter().flatten();
        cookies.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
    }

    fn take_cookies(&mut self, host: &str, page: &Page) {
        let jar = self.cookies.entry(host.to_owned()).or_default();
        for line in page.set_cookies() {
            let cookie = cookie::Cookie::parse(line).unwrap();
            if cookie.max_age().is_some_and(cookie::time::SignedDuration::is_zero) {
                jar.remove(cookie.name());
            } else {
                jar.insert(cookie.name().to_owned(), cookie.value().to_owned());
            }
        }
    }

    /// The site's cookies by name.
    pub fn cookies(&self) -> BTreeMap<String, String> {
        self.cookies_of("members.localhost")
    }

    /// The cookies of another host by name.
    pub fn cookies_of(&self, host: &str) -> BTreeMap<String, String> {
        self.cookies.get(host).cloned().unwrap_or_default()
    }

    /// The value of the session cookie.
    pub fn session_cookie(&self) -> Option<String> {
        self.cookies().get("__Host-member-session").cloned()
    }

    /// The names of the cookies of login attempts.
    pub fn attempts(&self) -> Vec<String> {
        self.cookies().into_keys().filter(|name| name.starts_with("__Host-member-login-")).collect()
    }

    /// What a `Cookie` field holds of them.
    #[allow(dead_code, reason = "the gates ask for it")]
    pub fn cookies_of_attempts(&self) -> String {
        let cookies = self.cookies().into_iter().filter(|(name, _)| name.starts_with("__Host-member-login-"));
        cookies.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
    }

    /// Puts a cookie into the jar.
    pub fn set_cookie(&mut self, name: &str, value: &str) {
        let jar = self.cookies.entry("members.localhost".to_owned()).or_default();
        jar.insert(name.to_owned(), value.to_owned());
    }

    /// Throws one cookie away.
    pub fn forget_cookie(&mut self, name: &str) {
        self.cookies.values_mut().for_each(|jar| {
            jar.remove(name);
        });
    }

    /// What `/_gateway/session` says.
    pub async fn session(&mut self) -> serde_json::Value {
        serde_json::from_str(&self.fetch(Method::GET, "/_gateway/session", &[]).await.body).unwrap()
    }

    /// Throws all cookies away.
    pub fn clear_cookies(&mut self) {
        self.cookies.clear();
    }
}
