//! The program with an environment that names a collector, in front of an app that remembers.

use std::net::SocketAddr;

use crate::collector::{Collector, Span};
use crate::harness::{Browser, Folder, Log, Running, Upstream, eventually, last_head, raw_to};

pub struct Scene {
    pub collector: Collector,
    pub app: Upstream,
    pub program: Running,
    pub log: Log,
    pub address: SocketAddr,
    _folder: Folder,
}

impl Scene {
    /// One whose spans are sent at once.
    pub fn new() -> Self {
        Self::with(&[], "")
    }

    /// The same with further variables, and further lines of its configuration.
    pub fn with(variables: &[(&str, &str)], more: &str) -> Self {
        let app = Upstream::start();
        let upstream = format!("http://{}", app.address());
        Self::in_front_of(app, &upstream, variables, more)
    }

    /// The same with another upstream; the app is asked nothing then.
    pub fn in_front_of(app: Upstream, upstream: &str, variables: &[(&str, &str)], more: &str) -> Self {
        let collector = Collector::start();
        let folder = Folder::with(&format!(
            "[server]\nlisten = [\"127.0.0.1:0\"]\n\
             [[provider]]\nname = \"ymca\"\nkind = \"daxko\"\nenvironment = \"sandbox\"\n\
             [[site]]\npublic_url = \"https://members.localhost\"\nupstream = \"{upstream}\"\nproviders = [\"ymca\"]\n\
             [[site.rule]]\npath = \"/public/**\"\nmethods = [\"GET\", \"HEAD\", \"PURGE\"]\naccess = \"public\"\n\
             {more}\n"
        ));
        let mut command = folder.command(&["run"]);
        command.env("NO_COLOR", "1").env("OTEL_BSP_SCHEDULE_DELAY", "50");
        command.env("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint()).envs(variables.iter().copied());
        let mut program = Running::spawn(&mut command);
        let log = program.log();
        log.says("serving listen=");
        let text = log.text();
        let address = text.split("serving listen=\"").nth(1).unwrap().split('"').next().unwrap();
        let address = address.parse().unwrap();
        Self { collector, app, program, log, address, _folder: folder }
    }

    /// Sends a request; gives the answer.
    pub fn ask(&self, line: &str, fields: &str) -> String {
        raw_to(self.address, last_head(line, fields))
    }

    pub fn browser(&self) -> Browser {
        Browser::new(self.address)
    }

    /// The span of the request for this path, once it is there.
    pub fn served(&self, path: &str) -> Span {
        self.find(path, |span| span.is_server() && span.says("url.path") == path)
    }

    /// The span of the call to the app beneath this one.
    pub fn call_of(&self, served: &Span) -> Span {
        self.find("the call", |span| span.is_client() && span.parent == served.id)
    }

    fn find(&self, what: &str, is_it: impl Fn(&Span) -> bool) -> Span {
        let mut found = Vec::new();
        eventually(what, || {
            found = self.collector.spans().into_iter().filter(|span| is_it(span)).collect();
            !found.is_empty()
        });
        assert_eq!(found.len(), 1, "{found:?}");
        found.remove(0)
    }
}
