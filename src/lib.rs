//! An authentication gateway in front of member sites.

pub mod member;
pub mod secret;
pub mod time;
