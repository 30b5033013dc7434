//! The page's files, and who may ask for them.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::server::Inner;

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const PICTURE: &str = "image/svg+xml";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// Every file of the page: where it is served, what it is, what is in it.
const FILES: [(&str, &str, &str); 9] = [
    ("/", HTML, include_str!("page/index.html")),
    ("/icon.svg", PICTURE, include_str!("page/icon.svg")),
    ("/page.css", CSS, include_str!("page/page.css")),
    ("/page.js", SCRIPT, include_str!("page/page.js")),
    ("/api.js", SCRIPT, include_str!("page/api.js")),
    ("/blocks.js", SCRIPT, include_str!("page/blocks.js")),
    ("/chart.js", SCRIPT, include_str!("page/chart.js")),
    ("/modal.js", SCRIPT, include_str!("page/modal.js")),
    ("/text.js", SCRIPT, include_str!("page/text.js")),
];

/// Nothing from elsewhere is loaded, framed or run.
const POLICY: &str = "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; \
                      form-action 'none'";

pub(super) fn router(inner: Arc<Inner>) -> Router<Arc<Inner>> {
    let mut router = Router::new();
    for (path, kind, text) in FILES {
        let page = get(move || async move { ([(header::CONTENT_TYPE, kind)], text) });
        router = router.route(path, page);
    }
    router.layer(from_fn_with_state(inner, only_from_here))
}

/// The page is for this machine's own browser: another site's page must not reach it, neither by
/// its own address nor under a name that it points here.
pub(super) async fn only_from_here(
    State(inner): State<Arc<Inner>>,
    request: Request,
    next: Next,
) -> Response {
    let port = inner.address.port();
    let ours = [format!("127.0.0.1:{port}"), format!("localhost:{port}"), format!("[::1]:{port}")];
    let host = text(request.headers(), &header::HOST);
    let origin = text(request.headers(), &header::ORIGIN);
    let host_is_ours = host.is_some_and(|host| ours.iter().any(|our| our == host));
    let origin_is_ours = origin.is_none_or(|origin| {
        ours.iter().any(|our| origin.strip_prefix("http://") == Some(our.as_str()))
    });
    if !(host_is_ours && origin_is_ours) {
        return (StatusCode::FORBIDDEN, "only for this machine's own browser").into_response();
    }
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

fn text<'h>(headers: &'h HeaderMap, name: &header::HeaderName) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}
