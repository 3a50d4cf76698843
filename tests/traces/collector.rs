//! A collector: takes what comes by OTLP over HTTP and reads it, by the numbers that the protocol's own description gives
//! its fields (<https://github.com/open-telemetry/opentelemetry-proto>), and not by the library that has written it.

use std::collections::BTreeMap;

use crate::harness::{Recorded, Upstream};

const SERVER: u64 = 2;
const CLIENT: u64 = 3;
const ERROR: u64 = 2;

/// One that is running.
pub struct Collector(Upstream);

/// A span, as it has arrived.
#[derive(Clone, Debug)]
pub struct Span {
    pub service: String,
    pub trace_id: String,
    pub id: String,
    pub parent: String,
    pub name: String,
    pub kind: u64,
    /// In nanoseconds since 1970.
    pub began: u64,
    pub ended: u64,
    pub attributes: BTreeMap<String, String>,
    pub failed: bool,
}

impl Span {
    pub fn is_server(&self) -> bool {
        self.kind == SERVER
    }

    pub fn is_client(&self) -> bool {
        self.kind == CLIENT
    }

    /// An attribute; nothing where it is not there.
    pub fn says(&self, name: &str) -> &str {
        self.attributes.get(name).map_or("", String::as_str)
    }
}

impl Collector {
    pub fn start() -> Self {
        Self(Upstream::start())
    }

    /// Where it is, as the environment names it.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.0.address())
    }

    /// What has been brought, as it came.
    pub fn deliveries(&self) -> Vec<Recorded> {
        self.0.requests()
    }

    /// All spans so far.
    pub fn spans(&self) -> Vec<Span> {
        let mut spans = Vec::new();
        for delivery in self.deliveries() {
            assert_eq!((&*delivery.method, &*delivery.target), ("POST", "/v1/traces"));
            assert_eq!(delivery.field("content-type"), "application/x-protobuf");
            for resource_spans in Message::read(&delivery.body).messages(1) {
                let resource = attributes(&resource_spans.message(1), 1);
                let service = resource.get("service.name").expect("each resource has a name");
                for scope_spans in resource_spans.messages(2) {
                    assert_eq!(scope_spans.message(1).text(1), "member-gateway");
                    spans.extend(scope_spans.messages(2).iter().map(|span| read(span, service)));
                }
            }
        }
        spans
    }
}

fn read(span: &Message, service: &str) -> Span {
    Span {
        service: service.to_owned(),
        trace_id: span.hex(1),
        id: span.hex(2),
        parent: span.hex(4),
        name: span.text(5),
        kind: span.number(6),
        began: span.number(7),
        ended: span.number(8),
        attributes: attributes(span, 9),
        failed: span.message(15).number(3) == ERROR,
    }
}

/// Names and values, the latter as text.
fn attributes(message: &Message, field: u64) -> BTreeMap<String, String> {
    let pairs = message.messages(field).into_iter().map(|pair| {
        let value = pair.message(2);
        let text = match value.0.first() {
            Some((1, Value::Octets(_))) => value.text(1),
            Some((3, Value::Number(number))) => number.to_string(),
            other => panic!("an attribute is a text or a number: {other:?}"),
        };
        (pair.text(1), text)
    });
    pairs.collect()
}

/// A message of protobuf (<https://protobuf.dev/programming-guides/encoding/>): its fields, by number.
struct Message(Vec<(u64, Value)>);

#[derive(Debug)]
enum Value {
    Number(u64),
    Octets(Vec<u8>),
}

impl Message {
    fn read(mut rest: &[u8]) -> Self {
        let mut fields = Vec::new();
        while !rest.is_empty() {
            let tag = varint(&mut rest);
            let value = match tag & 7 {
                0 => Value::Number(varint(&mut rest)),
                1 => Value::Number(u64::from_le_bytes(take(&mut rest, 8).try_into().unwrap())),
                2 => {
                    let length = usize::try_from(varint(&mut rest)).unwrap();
                    Value::Octets(take(&mut rest, length).to_vec())
                }
                5 => Value::Number(u64::from(u32::from_le_bytes(take(&mut rest, 4).try_into().unwrap()))),
                kind => panic!("protobuf has no kind {kind}"),
            };
            fields.push((tag >> 3, value));
        }
        Self(fields)
    }

    fn octets(&self, field: u64) -> impl Iterator<Item = &[u8]> {
        self.0.iter().filter_map(move |(number, value)| match value {
            Value::Octets(octets) if *number == field => Some(&octets[..]),
            Value::Octets(_) | Value::Number(_) => None,
        })
    }

    fn messages(&self, field: u64) -> Vec<Self> {
        self.octets(field).map(Self::read).collect()
    }

    fn message(&self, field: u64) -> Self {
        Self::read(self.octets(field).next().unwrap_or_default())
    }

    fn text(&self, field: u64) -> String {
        String::from_utf8(self.octets(field).next().unwrap_or_default().to_vec()).unwrap()
    }

    fn hex(&self, field: u64) -> String {
        let octets = self.octets(field).next().unwrap_or_default();
        octets.iter().map(|octet| format!("{octet:02x}")).collect()
    }

    fn number(&self, field: u64) -> u64 {
        let found = self.0.iter().find_map(|(number, value)| match value {
            Value::Number(value) if *number == field => Some(*value),
            Value::Octets(_) | Value::Number(_) => None,
        });
        found.unwrap_or_default()
    }
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> &'a [u8] {
    let (taken, left) = rest.split_at(length);
    *rest = left;
    taken
}

fn varint(rest: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let octet = take(rest, 1)[0];
        value |= u64::from(octet & 127) << shift;
        if octet < 128 {
            break;
        }
    }
    value
}
