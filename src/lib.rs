//! An authentication gateway in front of member sites.

pub mod config;
pub mod deadline;
pub mod gateway;
pub mod identity;
pub mod login;
pub mod member;
pub mod provider;
pub mod random;
pub mod route;
pub mod sandbox;
pub mod secret;
pub mod server;
pub mod session;
pub mod time;
pub mod upstream;
