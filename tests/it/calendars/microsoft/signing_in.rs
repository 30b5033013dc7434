//! The token that all calendars share.

use debrief::ports::Trouble;

use super::graph::{Graph, TENANT, aadsts, odata, raw};
use super::setting::{one, setting, titles, usual};

#[tokio::test]
async fn everybody_shares_one_token_until_shortly_before_its_end() {
    let setting = usual().await;
    let all = (0..20).map(|_| setting.read());
    for read in futures_util::future::join_all(all).await {
        assert_eq!(read.unwrap().occurrences.len(), 1);
    }
    assert_eq!(setting.graph.sign_ins().len(), 1);
    setting.clock.turn(3200);
    setting.read().await.unwrap();
    assert_eq!(setting.graph.sign_ins().len(), 1);
    setting.clock.turn(100);
    setting.read().await.unwrap();
    assert_eq!(setting.graph.sign_ins().len(), 2);
    // A token that is good for nothing is never kept.
    setting.graph.tokens_live(0);
    setting.clock.turn(3600);
    for _ in 0..2 {
        setting.read().await.unwrap();
    }
    assert_eq!(setting.graph.sign_ins().len(), 4);
}

#[tokio::test]
async fn f39_a_withdrawn_token_is_replaced_and_withdrawn_consent_is_told() {
    let setting = usual().await;
    setting.read().await.unwrap();
    setting.graph.withdraw_tokens();
    setting.read().await.unwrap();
    assert_eq!(setting.graph.sign_ins().len(), 2);
    // Who is refused with a fresh token too is told so, and does not ask for one after the other.
    setting.clock.turn(120);
    let refuse = || odata(401, "InvalidAuthenticationToken", "about maya@own.example");
    for _ in 0..7 {
        setting.graph.answer(refuse);
    }
    for _ in 0..6 {
        let told = setting.read().await.unwrap_err();
        assert!(told.reason.starts_with("Microsoft Graph refuses the token, a fresh one too"));
        assert!(told.reason.ends_with("[401 InvalidAuthenticationToken]"), "{told}");
        assert_eq!(told.trouble, Trouble::Refused);
    }
    assert_eq!(setting.graph.sign_ins().len(), 3);
    assert_eq!(titles(&setting.read().await.unwrap()), ["Acme demo"]);
    // Without consent the token has no permission.
    setting.graph.answer(|| odata(403, "ErrorAccessDenied", "Access is denied."));
    let told = setting.reason().await;
    assert!(told.contains("Calendars.Read with admin consent"), "{told}");
    assert!(told.ends_with("[403 ErrorAccessDenied]"), "{told}");
}

#[tokio::test]
async fn a_wrong_secret_is_told_and_not_tried_for_everybody() {
    let setting = setting(one(), |_, app| app.client_secret = "hush-hush".into()).await;
    for read in futures_util::future::join_all((0..10).map(|_| setting.read())).await {
        let told = read.unwrap_err();
        assert_eq!(
            told.reason,
            "the client secret is wrong; put its value, not its ID, into \
             DEBRIEF_MICROSOFT_CLIENT_SECRET [401 AADSTS7000215]"
        );
        assert_eq!((told.retry_after, told.trouble), (None, Trouble::Refused));
    }
    assert_eq!(setting.graph.sign_ins().len(), 1);
    assert!(setting.graph.asked().is_empty());
    setting.clock.turn(61);
    setting.reason().await;
    assert_eq!(setting.graph.sign_ins().len(), 2);
}

#[tokio::test]
async fn a_sign_in_that_fails_says_why() {
    let setting = usual().await;
    for (status, error, number, start) in [
        (401, "invalid_client", 7_000_222, "the client secret has expired; make a new one"),
        (400, "invalid_request", 90_002, "Microsoft knows no such tenant"),
        (400, "unauthorized_client", 700_016, "the tenant does not know the app"),
    ] {
        setting.graph.refuse(move || aadsts(status, error, number));
        let told = setting.reason().await;
        assert!(told.starts_with(start), "{told}");
        assert!(!told.contains("maya"), "{told}");
        setting.clock.turn(61);
    }
    let web_page = "a web page instead of Microsoft's answer; is something in between, or \
                    microsoft.login_url wrong? [404]";
    setting.graph.refuse(|| raw(404, &[], "<!DOCTYPE html>not here"));
    assert_eq!(setting.reason().await, web_page);
    setting.clock.turn(61);
    setting.graph.refuse(|| raw(200, &[], "<html>welcome</html>"));
    assert!(setting.reason().await.starts_with("Microsoft's sign-in answers without a token"));
    setting.clock.turn(6);
    // Patience is kept as long as it is asked for.
    setting.graph.refuse(|| raw(503, &[("retry-after", "120")], ""));
    let told = setting.read().await.unwrap_err();
    assert!(told.reason.starts_with("Microsoft has a problem of its own"), "{told}");
    assert_eq!(told.retry_after, Some(120));
    setting.clock.turn(119);
    setting.reason().await;
    setting.clock.turn(2);
    assert_eq!(titles(&setting.read().await.unwrap()), ["Acme demo"]);
}

#[tokio::test]
async fn the_secret_does_not_follow_a_redirect() {
    let setting = usual().await;
    let other = Graph::with(one()).await;
    let place = format!("{}/{TENANT}/oauth2/v2.0/token", other.url);
    setting.graph.refuse(move || raw(307, &[("location", &place)], ""));
    let told = setting.reason().await;
    assert!(
        told.starts_with("a redirect to somewhere else instead of Microsoft's answer"),
        "{told}"
    );
    assert!(other.sign_ins().is_empty());
}
