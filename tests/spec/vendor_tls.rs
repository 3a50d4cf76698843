//! TLS towards a vendor: nobody is asked about a code whose certificate the machine does not believe.

use http::Request;
use hyper::body::Incoming;

use crate::configuration::{SESSION_KEY, SIGNING_KEY};
use crate::harness::{Authority, Browser, Folder, Modern, Running, answer, free_address};
use crate::upstream_tls::server;

#[tokio::test(flavor = "multi_thread")]
async fn a_vendor_that_nobody_vouches_for_is_shown_no_code_and_no_secret() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    for (issued, is_asked) in [
        (authority.issue(&["localhost"]), true),
        (stranger.issue(&["localhost"]), false),
        (authority.issue(&["other.localhost"]), false),
        (authority.issue_until(&["localhost"], 2001), false),
    ] {
        let tls = server(&issued, None, &[b"http/1.1"]);
        let vendor = Modern::secured(tls, async |_: Request<Incoming>| answer("{}"));
        let address = free_address();
        let folder = Folder::with(&format!(
            "[server]\nlisten = [\"{address}\"]\n[session]\nkeys = [\"{SESSION_KEY}\"]\n[identity.signature]\n\
             keys = [{{ id = \"k\", algorithm = \"hmac-sha256\", key = \"{SIGNING_KEY}\" }}]\n\
             [[provider]]\nname = \"ymca\"\nkind = \"daxko\"\nenvironment = \"sandbox\"\n\
             token_url = \"https://localhost:{}/token\"\n\
             [[site]]\npublic_url = \"https://members.localhost\"\nupstream = \"sandbox\"\nproviders = [\"ymca\"]\n",
            vendor.address().port()
        ));
        let folder = folder.and("ca.pem", authority.pem());
        // What this machine trusts, as far as the program is concerned.
        let mut command = folder.command(&["run"]);
        command.env("SSL_CERT_FILE", folder.path().join("ca.pem")).env_remove("SSL_CERT_DIR");
        let _running = Running::serving(&mut command, address);
        let mut browser = Browser::new(address);
        let callback = browser.up_to_the_callback("/").await;

        let page = browser.visit(&callback).await;

        assert_eq!(page.url.path(), "/_gateway/error", "{}", page.body);
        assert_eq!(browser.session_cookie(), None);
        let asked: Vec<String> = vendor.heads().iter().map(|head| head.uri.path().to_owned()).collect();
        assert_eq!(asked, if is_asked { vec!["/token"] } else { vec![] });
    }
}
