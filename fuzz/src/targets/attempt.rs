//! Login attempts: octets as they come out of a seal; behind a NUL, a state that somebody says is its own.
//!
//! * An attempt is what its octets say: written again it is the same one, and up to the place, which is made one that a
//!   browser can be sent to, in the same octets.
//! * No text is its state but the one.
//! * While it is fresh its cookie has seconds left.

use bytes::Bytes;
use member_gateway::login::attempt::{Attempt, is_tag, tag};
use member_gateway::login::return_to::ReturnTo;

use super::members::{NOW, provider};

pub fn run(bytes: &[u8]) {
    if let Some(attempt) = Attempt::from_bytes(Bytes::copy_from_slice(bytes)) {
        let written = attempt.to_bytes();
        let place = written.len() - attempt.return_to.as_str().len();
        assert_eq!(written.get(..place), bytes.get(..place), "written again it says something else");
        let again = Attempt::from_bytes(written.into());
        assert!(again.is_some_and(|again| again == attempt), "written again it is another one");
        assert!(attempt.has_state(&attempt.state().0));
        if attempt.is_fresh_at(NOW) {
            assert!(attempt.seconds_left_at(NOW) > 0);
        }
    }
    let said = String::from_utf8_lossy(bytes);
    assert!(is_tag(&tag(&said)));
    let mut state = [0; 32];
    state.iter_mut().zip(bytes).for_each(|(into, byte)| *into = *byte);
    let attempt = Attempt::begin(state, provider(), ReturnTo::new(&said), NOW);
    assert_eq!(attempt.has_state(&said), attempt.state().0 == said);
    let again = Attempt::from_bytes(attempt.to_bytes().into());
    assert!(again.is_some_and(|again| again == attempt));
}
