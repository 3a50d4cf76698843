//! The people of the sandbox: a household, a single, an inactive unit, and a stranger of another client.
//!
//! Nobody here exists. The ids have the shape of the ids in Daxko's documents; what the household shows on purpose is
//! a member without a family name, and two who share an e-mail address. All passwords are published.

use serde_json::{Value, json};

/// Somebody who can log in at the sandbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SampleMember {
    /// What is typed as user name.
    pub username: &'static str,
    /// What is typed as password.
    pub password: &'static str,
    /// The person's id.
    pub member_id: &'static str,
    /// The id of the person's unit.
    pub member_unit_id: &'static str,
    /// The given name.
    pub first_name: &'static str,
    /// The family name, which Daxko may leave out.
    pub last_name: Option<&'static str>,
    /// The e-mail address.
    pub email: &'static str,
    /// Whether the membership is active. Those whose membership has lapsed can log in all the same.
    pub active: bool,
    /// The number of the client (association) the person belongs to.
    pub client: u64,
}

/// Everybody; the log-in form offers the first one of its client.
pub(super) static MEMBERS: [SampleMember; 6] = [
    SampleMember {
        username: "rosa",
        password: "rosa-swims",
        member_id: "400007995-00",
        member_unit_id: "400007995",
        first_name: "Rosa",
        last_name: Some("Alvarez"),
        email: "alvarez.kim@example.org",
        active: true,
        client: 4711,
    },
    SampleMember {
        username: "jin",
        password: "jin-rows",
        member_id: "400007995-01",
        member_unit_id: "400007995",
        first_name: "Jin",
        last_name: Some("Kim"),
        email: "alvarez.kim@example.org",
        active: true,
        client: 4711,
    },
    SampleMember {
        username: "mika",
        password: "mika-climbs",
        member_id: "400007995-02",
        member_unit_id: "400007995",
        first_name: "Mika",
        last_name: None,
        email: "mika@example.org",
        active: true,
        client: 4711,
    },
    SampleMember {
        username: "tomasz",
        password: "tomasz-runs",
        member_id: "400011208-00",
        member_unit_id: "400011208",
        first_name: "Tomasz",
        last_name: Some("Wójcik"),
        email: "tomasz@example.org",
        active: true,
        client: 4711,
    },
    SampleMember {
        username: "dele",
        password: "dele-rests",
        member_id: "400003316-00",
        member_unit_id: "400003316",
        first_name: "Dele",
        last_name: Some("Okafor"),
        email: "dele@example.org",
        active: false,
        client: 4711,
    },
    SampleMember {
        username: "ines",
        password: "ines-sails",
        member_id: "410000402-00",
        member_unit_id: "410000402",
        first_name: "Ines",
        last_name: Some("Farrow"),
        email: "ines@example.org",
        active: true,
        client: 4712,
    },
];

/// The members a log-in form of `client` knows.
pub(super) fn of_client(client: u64) -> impl Iterator<Item = &'static SampleMember> {
    MEMBERS.iter().filter(move |member| member.client == client)
}

/// The members of one unit of `client`, the primary one first; none where there is no such unit.
pub(super) fn of_unit(client: u64, unit_id: &str) -> Vec<&'static SampleMember> {
    of_client(client).filter(|member| member.member_unit_id == unit_id).collect()
}

impl SampleMember {
    /// What `GET /v3/members/me` says: the ids and the name.
    pub(super) fn identity(&self) -> Value {
        let mut name = json!({ "first_name": self.first_name });
        if let Some(last_name) = self.last_name {
            name["last_name"] = last_name.into();
        }
        json!({ "member_id": self.member_id, "member_unit_id": self.member_unit_id, "name": name })
    }

    /// What `GET /v3/members/{id}` says.
    pub(super) fn record(&self) -> Value {
        let mut record = self.identity();
        let rest = json!({
            "active": self.active,
            "addresses": [],
            "barcode": self.member_id.replace('-', ""),
            "date_of_birth": "1990-04-17",
            "emails": [{ "type": "primary", "email": self.email }],
            "gender": { "id": 3, "name": "Not specified" },
            "home_location": { "id": 1, "name": "Lakeside" },
            "join_date": "2021-09-01",
            "member_type": { "id": 10, "name": "Adult" },
            "most_recent_join_date": "2021-09-01",
            "phones": [],
            "photos": [],
        });
        if let (Value::Object(record), Value::Object(rest)) = (&mut record, rest) {
            record.extend(rest);
        }
        record
    }

    /// How `GET /v3/units/{id}` lists the person.
    pub(super) fn listed_in_unit(&self) -> Value {
        let mut entry = self.identity();
        if let Value::Object(entry) = &mut entry {
            entry.remove("member_unit_id");
            entry.insert("active".into(), self.active.into());
            entry.insert("is_primary_member".into(), self.member_id.ends_with("-00").into());
            entry.insert("links".into(), json!([]));
        }
        entry
    }
}
