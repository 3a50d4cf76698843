//! An authentication gateway in front of member sites.
//!
//! The journey of one request, room by room:
//!
//! 1. [`server`] accepts the connection, reads HTTP strictly and hands on a request with its peer.
//! 2. [`gateway`] is the hall. It reads the clock, once, and leads the request through the other rooms.
//! 3. [`route`] finds the site by the authority of the request, and the first rule that matches its path.
//! 4. [`session`] takes our cookie out of the request and opens it: keys, text and time in, a session or nothing out.
//! 5. A stranger goes to [`login`], which seals an attempt into a cookie and sends the browser to a [`provider`]. At the
//!    callback it finds the attempt again, has the provider redeem the code and sends the browser back.
//! 6. [`identity`] removes whatever the browser wrote under our names, writes the fields and signs them.
//! 7. [`upstream`] forwards the request and streams the answer back.
//! 8. Any room may fail, in its own words; [`gateway::refusal`] alone turns an error into a response.
//!
//! Beside the journey, [`telemetry`] is where what happens is counted and written down, and [`admin`] where operators ask
//! for it. What an app wants to know of its members beyond the identity fields it asks the [`relay`], which asks the vendor
//! with a token that no app ever sees.
//!
//! What passes from room to room is a [`message`]: a request or an answer, with its fields in the order in which they came.
//!
//! [`config`] knows every room and none knows it; [`cli`] starts everything. [`sandbox`] simulates the vendor and an app,
//! written from the vendor's documents and not from [`provider`], so that it cannot agree with our mistakes.

pub mod admin;
pub mod aside;
pub mod bell;
pub mod cli;
pub mod config;
pub mod deadline;
pub mod drain;
pub mod field_lines;
pub mod field_name;
pub mod gateway;
pub mod http1;
pub mod identity;
pub mod login;
pub mod mac;
pub mod member;
pub mod message;
pub mod provider;
pub mod random;
pub mod relay;
pub mod revocation;
pub mod roots;
pub mod route;
pub mod sandbox;
pub mod secret;
pub mod server;
pub mod session;
pub mod telemetry;
pub mod time;
pub mod turn;
pub mod upstream;
pub mod verify;
