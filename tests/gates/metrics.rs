//! What the gateway says about itself at its admin address.

use std::net::SocketAddr;

use crate::harness::raw_to;

/// The exposition as it is.
pub(crate) fn page(admin: SocketAddr) -> String {
    raw_to(admin, "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
}

/// The sum over all series of this name that have all of these labels, each as it stands there: `outcome="served"`.
pub(crate) fn sum(admin: SocketAddr, name: &str, labels: &[&str]) -> f64 {
    let page = page(admin);
    let series = page.lines().filter_map(|line| {
        let rest = line.strip_prefix(name)?;
        let (found, value) = match rest.strip_prefix('{') {
            Some(rest) => rest.rsplit_once("} ")?,
            None => ("", rest.strip_prefix(' ')?),
        };
        labels.iter().all(|label| found.contains(label)).then(|| value.parse::<f64>().unwrap())
    });
    series.sum()
}
