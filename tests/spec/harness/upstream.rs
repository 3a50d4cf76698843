//! An upstream that remembers every request and answers as it is told.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;

/// A request as the upstream got it.
#[derive(Clone, Debug)]
pub struct Recorded {
    pub method: String,
    pub target: String,
    pub fields: HeaderMap,
    pub body: Bytes,
}

impl Recorded {
    /// The one value of a field; fails where there is none or more than one.
    pub fn field(&self, name: &str) -> &str {
        let values: Vec<_> = self.fields.get_all(name).iter().collect();
        assert_eq!(values.len(), 1, "{name}: {values:?}");
        values[0].to_str().unwrap()
    }

    /// The names of its fields as CGI and its heirs read them.
    pub fn folded_names(&self) -> Vec<String> {
        let folded = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
        self.fields.keys().map(|name| name.as_str().chars().map(folded).collect()).collect()
    }

    /// Whether there is such a field.
    pub fn has(&self, name: &str) -> bool {
        self.fields.contains_key(name)
    }

    /// The request as text, as `verify` reads it.
    pub fn head(&self) -> String {
        let mut text = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        for (name, value) in &self.fields {
            text.push_str(&format!("{name}: {}\r\n", value.to_str().unwrap()));
        }
        text.push_str("\r\n");
        text
    }
}

type Answer = Arc<dyn Fn(&Recorded) -> Response<Full<Bytes>> + Send + Sync>;

#[derive(Default)]
struct Memory {
    requests: Vec<Recorded>,
    connections: usize,
    answer: Option<Answer>,
}

/// A running upstream.
pub struct Upstream {
    address: SocketAddr,
    memory: Arc<Mutex<Memory>>,
    runtime: Option<tokio::runtime::Runtime>,
}

/// A runtime must not wait for its tasks inside of another one.
impl Drop for Upstream {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Upstream {
    pub fn start() -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let memory = Arc::<Mutex<Memory>>::default();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let remembered = Arc::clone(&memory);
        runtime.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                let memory = Arc::clone(&remembered);
                memory.lock().unwrap().connections += 1;
                tokio::spawn(async move {
                    let service = service_fn(|request| answer(request, Arc::clone(&memory)));
                    let _ = http1::Builder::new().serve_connection(TokioIo::new(socket), service).await;
                });
            }
        });
        Self { address, memory, runtime: Some(runtime) }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// All requests so far.
    pub fn requests(&self) -> Vec<Recorded> {
        self.memory.lock().unwrap().requests.clone()
    }

    /// The last request.
    pub fn last_request(&self) -> Recorded {
        self.requests().pop().expect("the upstream got a request")
    }

    /// How many connections were opened.
    pub fn connections(&self) -> usize {
        self.memory.lock().unwrap().connections
    }

    /// Forgets all requests so far.
    pub fn forget(&self) {
        self.memory.lock().unwrap().requests.clear();
    }

    /// How to answer from now on.
    pub fn answers(&self, answer: impl Fn(&Recorded) -> Response<Full<Bytes>> + Send + Sync + 'static) {
        self.memory.lock().unwrap().answer = Some(Arc::new(answer));
    }
}

async fn answer(
    request: Request<Incoming>,
    memory: Arc<Mutex<Memory>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let recorded = Recorded {
        method: head.method.to_string(),
        target: head.uri.to_string(),
        fields: head.headers,
        body,
    };
    let answer = {
        let mut memory = memory.lock().unwrap();
        memory.requests.push(recorded.clone());
        memory.answer.clone()
    };
    Ok(answer
        .map_or_else(|| Response::new(Full::from("hello from the upstream")), |answer| answer(&recorded)))
}
