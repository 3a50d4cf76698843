//! Sign-up: a name, an address, a telephone number, a password, and a one-time code that proves the number or the
//! address.
//!
//! Xoxoday sends the code; over which channel is not documented. The sandbox sends nothing and shows the code on the
//! page instead. Accounts live in memory, and there are only so many.

use bytes::Bytes;
use http::Request;

use super::account::Person;
use super::authorize::on_to_consent;
use super::pages::{self, SignUp};
use super::refusal::{Answer, Refusal};
use super::{RecordedRequest, Vendor};
use crate::sandbox::issued::Found;
use crate::sandbox::parameters::Parameters;

/// The longest address (RFC 5321 §4.5.3.1.3, without the angle brackets), and the longest of every other answer.
const MAX_LENGTH: usize = 254;
/// How often a one-time code may be guessed.
const MAX_GUESSES: u8 = 5;

/// A sign-up that waits for its code.
pub(super) struct Pending {
    email: String,
    first_name: String,
    password: String,
    code: String,
    guesses: u8,
}

impl Vendor {
    /// `GET /signup`.
    pub(super) fn sign_up_page(
        &self,
        request: &Request<Bytes>,
        entry: &mut RecordedRequest,
    ) -> Result<Answer, Refusal> {
        let parameters = Parameters::urlencoded(request.uri().query().unwrap_or("").as_bytes());
        entry.note(parameters.iter());
        self.trust(&parameters)?;
        Ok(pages::sign_up(&parameters, &SignUp::default()).into())
    }

    /// `POST /signup`.
    pub(super) fn sign_up(
        &self,
        request: &Request<Bytes>,
        entry: &mut RecordedRequest,
    ) -> Result<Answer, Refusal> {
        let parameters = Parameters::urlencoded(request.body());
        entry.note(parameters.iter());
        self.trust(&parameters)?;
        let typed = |name| parameters.get(name).unwrap_or("").trim();
        let (name, email) = (typed("name"), typed("email"));
        let (country_code, phone) = (typed("country_code"), typed("phone"));
        let password = parameters.get("password").unwrap_or("");
        let again = |problem| {
            let form = SignUp { name, email, country_code, phone, problem: Some(problem) };
            Ok(Answer { response: pages::sign_up(&parameters, &form), refused_by: Some(problem) })
        };
        if [name, email, country_code, phone, password].iter().any(|text| text.is_empty()) {
            return again("Every field is needed.");
        }
        if [name, email, country_code, phone, password].iter().any(|text| text.len() > MAX_LENGTH) {
            return again("An answer is too long: 254 characters at the most.");
        }
        let is_address = email.split_once('@').is_some_and(|(local, domain)| {
            !local.is_empty() && !domain.is_empty() && !email.chars().any(char::is_whitespace)
        });
        if !is_address {
            return again("The e-mail address is none: it has to look like name@example.org.");
        }
        if self.memory().people.find(email).is_some() {
            return again("This address has an account already: log in instead.");
        }
        let code = one_time_code();
        let pending = Pending {
            email: email.to_owned(),
            first_name: name.split_whitespace().next().unwrap_or(name).to_owned(),
            password: password.to_owned(),
            code: code.clone(),
            guesses: 0,
        };
        let key = self.memory().pending.issue("", Some(pending), self.clock.now());
        Ok(pages::one_time_code(&parameters, &key, Some(&code), false).into())
    }

    /// `POST /signup/verify`.
    pub(super) fn verify(
        &self,
        request: &Request<Bytes>,
        entry: &mut RecordedRequest,
    ) -> Result<Answer, Refusal> {
        let parameters = Parameters::urlencoded(request.body());
        entry.note(parameters.iter());
        self.trust(&parameters)?;
        let key = parameters.get("sign_up").unwrap_or("");
        let typed = parameters.get("otp").unwrap_or("").trim();
        let over = |problem| {
            let form = SignUp { problem: Some(problem), ..SignUp::default() };
            Ok(Answer { response: pages::sign_up(&parameters, &form), refused_by: Some(problem) })
        };
        let person = {
            let mut memory = self.memory();
            let Found::Live(slot) = memory.pending.find(key, self.clock.now()) else {
                return over("This sign-up has expired: begin again.");
            };
            match slot.take() {
                None => return over("This sign-up has ended: begin again."),
                Some(mut pending) if pending.code != typed => {
                    pending.guesses += 1;
                    if pending.guesses < MAX_GUESSES {
                        *slot = Some(pending);
                    }
                    let response = pages::one_time_code(&parameters, key, None, true);
                    return Ok(Answer { response, refused_by: Some("the one-time code is another") });
                }
                Some(pending) => {
                    let person = Person {
                        email: pending.email,
                        first_name: pending.first_name,
                        password: Some(pending.password),
                        member_id: None,
                        member_unit_id: None,
                    };
                    memory.people.sign_up(person)
                }
            }
        };
        let Some(person) = person else {
            return over(
                "No account was made: the address has one already, or the sandbox is full. Restart it.",
            );
        };
        let mut answer = on_to_consent(&parameters)?;
        self.log_in_as(person, &mut answer.response);
        Ok(answer)
    }
}

/// Six digits.
fn one_time_code() -> String {
    let random = u64::from_le_bytes(crate::random::bytes());
    format!("{:06}", random % 1_000_000)
}
