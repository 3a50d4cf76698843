//! The people of the simulation: four published accounts, and whoever signs up.
//!
//! Nobody here exists. Xoxoday has neither members nor households, only addresses; the ids stand beside them for the
//! user-details call and for the operator's own directory, and are those of the same people at the simulation of Daxko.
//! What the household shows on purpose is an address in mixed case; the last account belongs to no member at all.

use std::sync::Arc;

/// The most accounts there are; further ones are not made.
const MAX_ACCOUNTS: usize = 1000;

/// Somebody who can log in at the sandbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SampleAccount {
    /// The address, as it was typed at sign-up.
    pub email: &'static str,
    /// What is typed as password.
    pub password: &'static str,
    /// The given name.
    pub first_name: &'static str,
    /// The family name.
    pub last_name: &'static str,
    /// The id of the same person at the club, where the person is a member.
    pub member_id: Option<&'static str>,
    /// The id of the person's household there.
    pub member_unit_id: Option<&'static str>,
}

/// The published accounts; the log-in form offers the first.
pub(super) static SAMPLES: [SampleAccount; 4] = [
    SampleAccount {
        email: "rosa.alvarez@example.org",
        password: "rosa-swims",
        first_name: "Rosa",
        last_name: "Alvarez",
        member_id: Some("400007995-00"),
        member_unit_id: Some("400007995"),
    },
    SampleAccount {
        email: "Jin.Kim@Example.org",
        password: "jin-rows",
        first_name: "Jin",
        last_name: "Kim",
        member_id: Some("400007995-01"),
        member_unit_id: Some("400007995"),
    },
    SampleAccount {
        email: "tomasz@example.org",
        password: "tomasz-runs",
        first_name: "Tomasz",
        last_name: "Wójcik",
        member_id: Some("400011208-00"),
        member_unit_id: Some("400011208"),
    },
    SampleAccount {
        email: "noor.haddad@example.org",
        password: "noor-reads",
        first_name: "Noor",
        last_name: "Haddad",
        member_id: None,
        member_unit_id: None,
    },
];

/// Somebody with an account.
pub(super) struct Person {
    /// As it was typed at sign-up, its case kept.
    pub(super) email: String,
    pub(super) first_name: String,
    /// None where another system made the account: who comes that way needs none.
    pub(super) password: Option<String>,
    pub(super) member_id: Option<&'static str>,
    pub(super) member_unit_id: Option<&'static str>,
}

/// Everybody who has an account.
pub(super) struct People(Vec<Arc<Person>>);

impl People {
    /// Those of the sample.
    pub(super) fn of_the_sample() -> Self {
        let people = SAMPLES.iter().map(|sample| Person {
            email: sample.email.to_owned(),
            first_name: sample.first_name.to_owned(),
            password: Some(sample.password.to_owned()),
            member_id: sample.member_id,
            member_unit_id: sample.member_unit_id,
        });
        Self(people.map(Arc::new).collect())
    }

    /// Whose address it is. Its case is kept and makes no difference; Xoxoday says nothing about that.
    pub(super) fn find(&self, email: &str) -> Option<Arc<Person>> {
        self.0.iter().find(|person| person.email.eq_ignore_ascii_case(email)).cloned()
    }

    /// Whoever has this address and this password.
    pub(super) fn log_in(&self, email: &str, password: &str) -> Option<Arc<Person>> {
        self.find(email).filter(|person| person.password.as_deref() == Some(password))
    }

    /// Makes an account; nothing where the address has one, or there are too many.
    pub(super) fn sign_up(&mut self, person: Person) -> Option<Arc<Person>> {
        if self.0.len() >= MAX_ACCOUNTS || self.find(&person.email).is_some() {
            return None;
        }
        let person = Arc::new(person);
        self.0.push(Arc::clone(&person));
        Some(person)
    }

    /// Whose address it is, or a new account for it: another system may name whomever it likes.
    pub(super) fn find_or_make(&mut self, email: &str) -> Arc<Person> {
        self.find(email).unwrap_or_else(|| {
            let person = || Person {
                email: email.to_owned(),
                first_name: String::new(),
                password: None,
                member_id: None,
                member_unit_id: None,
            };
            self.sign_up(person()).unwrap_or_else(|| Arc::new(person()))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_only_so_many_accounts() {
        let mut people = People::of_the_sample();
        for number in 0..MAX_ACCOUNTS {
            people.find_or_make(&format!("{number}@example.org"));
        }
        assert_eq!(people.0.len(), MAX_ACCOUNTS);
        assert_eq!(people.find_or_make("late@example.org").email, "late@example.org");
        assert!(people.find("late@example.org").is_none());
    }
}
