//! Serving HTTP to whoever connects, without being held up by those who never finish: the door for
//! what Slack posts, and health and metrics.
//!
//! A connection costs a file descriptor and some memory before we know whose it is, so its head
//! has to arrive in time, it does not live for ever, and there are only so many at once. Further
//! ones wait in the system's own queue, which is short and costs us nothing: a burst is then
//! answered a little late instead of refused, and places turn over faster than the deadlines.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::serve::Listener;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// What a connection may cost.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// For a request's head to arrive, however slowly its bytes drip; also how long a connection
    /// may be idle between two requests.
    pub head: Duration,
    /// For all that happens on one connection.
    pub life: Duration,
    /// For what is being answered at the end of that life, or when the server stops.
    pub grace: Duration,
    /// At once.
    pub connections: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head: Duration::from_secs(10),
            life: Duration::from_mins(5),
            grace: Duration::from_secs(10),
            // Half of the descriptors that a process gets where nobody says otherwise.
            connections: 512,
        }
    }
}

/// Serves until told to stop: then it takes no new connection, answers what was asked, and returns.
/// Dropping the future ends every connection.
pub async fn serve(
    mut listener: TcpListener,
    router: Router,
    limits: Limits,
    stopping: CancellationToken,
) {
    let places = Arc::new(Semaphore::new(limits.connections));
    let mut open = JoinSet::new();
    let accepting = async {
        loop {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else {
                return;
            };
            // Those that are over need no more memory.
            while open.try_join_next().is_some() {}
            let (stream, _) = Listener::accept(&mut listener).await;
            let (router, stopping) = (router.clone(), stopping.clone());
            open.spawn(async move {
                converse(stream, router, limits, stopping).await;
                drop(place);
            });
        }
    };
    stopping.run_until_cancelled(accepting).await;
    // Whoever waits in the queue learns at once that nobody will come.
    drop(listener);
    while open.join_next().await.is_some() {}
}

/// What is said on one connection. That it breaks off is no concern of ours: what was not complete
/// was not taken.
async fn converse(stream: TcpStream, router: Router, limits: Limits, stopping: CancellationToken) {
    let mut protocol = http1::Builder::new();
    protocol.timer(TokioTimer::new()).header_read_timeout(limits.head);
    let service = TowerToHyperService::new(router);
    let mut connection = pin!(protocol.serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        _ = connection.as_mut() => return,
        () = stopping.cancelled() => {}
        () = tokio::time::sleep(limits.life) => {}
    }
    connection.as_mut().graceful_shutdown();
    // Nobody can be told if it fails or is too slow.
    let _ = tokio::time::timeout(limits.grace, connection).await;
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use axum::routing::{get, post};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::task::JoinHandle;

    use super::*;

    const SHORT: Duration = Duration::from_millis(50);
    const LONG: Duration = Duration::from_hours(1);
    /// None of the deadlines but those that a test is about.
    const PATIENT: Limits = Limits { head: LONG, life: LONG, grace: LONG, connections: 512 };
    const ASK: &[u8] = b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n";

    struct Served {
        listener: std::net::SocketAddr,
        stopping: CancellationToken,
        serving: JoinHandle<()>,
        /// How many requests are being handled.
        inside: Arc<AtomicUsize>,
        /// One of them is answered for each permit.
        answers: Arc<Semaphore>,
    }

    async fn served(limits: Limits) -> Served {
        let (inside, answers) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
        let (counted, awaited) = (Arc::clone(&inside), Arc::clone(&answers));
        let slow = get(move || async move {
            counted.fetch_add(1, Ordering::SeqCst);
            awaited.acquire().await.unwrap().forget();
            counted.fetch_sub(1, Ordering::SeqCst);
            "done"
        });
        let router = Router::new()
            .route("/slow", slow)
            .route("/body", post(|body: String| async move { body }));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stopping = CancellationToken::new();
        let serving = tokio::spawn(serve(listener, router, limits, stopping.clone()));
        Served { listener: address, stopping, serving, inside, answers }
    }

    impl Served {
        async fn says(&self, words: &[u8]) -> TcpStream {
            let mut stream = TcpStream::connect(self.listener).await.unwrap();
            stream.write_all(words).await.unwrap();
            stream
        }

        async fn handles(&self, requests: usize) {
            while self.inside.load(Ordering::SeqCst) != requests {
                tokio::task::yield_now().await;
            }
        }
    }

    /// Everything until the server closes; a reset is a close as well.
    async fn until_closed(mut stream: TcpStream) -> String {
        let mut heard = Vec::new();
        let _ = stream.read_to_end(&mut heard).await;
        String::from_utf8(heard).unwrap()
    }

    #[tokio::test]
    async fn s18_whoever_does_not_finish_a_head_is_shown_out() {
        let served = served(Limits { head: SHORT, ..PATIENT }).await;
        for slow in
            [&b""[..], b"P", b"PRI * HTTP/2.0\r\n", b"POST /body HTTP/1.1\r\nHost: x\r\nX: "]
        {
            let heard = until_closed(served.says(slow).await).await;
            assert!(!heard.contains("200 OK"), "{heard}");
        }
        // Idle after a request that was answered.
        served.answers.add_permits(1);
        let heard = until_closed(served.says(ASK).await).await;
        assert!(heard.ends_with("done"), "{heard}");
    }

    /// The drops of a head do not start its time anew.
    #[tokio::test]
    async fn s18_a_head_that_drips_is_given_no_more_time() {
        let served = served(Limits { head: SHORT, ..PATIENT }).await;
        let (mut hearing, mut saying) = served.says(b"GET /slow HTTP/1.1\r\n").await.into_split();
        let dripping = async {
            loop {
                if saying.write_all(b"X-Drop: 1\r\n").await.is_err() {
                    return;
                }
                tokio::task::yield_now().await;
            }
        };
        let mut heard = Vec::new();
        let closed = hearing.read_to_end(&mut heard);
        // Each side may see the end first.
        tokio::select! { _ = closed => {}, () = dripping => {} }
    }

    #[tokio::test]
    async fn s18_no_connection_lives_for_ever() {
        let served = served(Limits { life: SHORT, grace: SHORT, ..PATIENT }).await;
        for slow in
            [&b"GET /slow HT"[..], b"POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nx"]
        {
            let heard = until_closed(served.says(slow).await).await;
            assert!(!heard.contains("200 OK"), "{heard}");
        }
    }

    #[tokio::test]
    async fn s18_only_so_many_are_served_at_once_and_the_others_wait() {
        let served = served(Limits { connections: 2, ..PATIENT }).await;
        let first = served.says(ASK).await;
        let second = served.says(ASK).await;
        served.handles(2).await;
        let third = served.says(ASK).await;
        for _ in 0..1000 {
            tokio::task::yield_now().await;
        }
        assert_eq!(served.inside.load(Ordering::SeqCst), 2, "the third waits");
        drop((first, second));
        served.answers.add_permits(3);
        let mut third = third;
        let mut heard = [0; 15];
        third.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"HTTP/1.1 200 OK");
    }

    #[tokio::test]
    async fn what_was_asked_before_the_stop_is_answered_and_the_idle_are_let_go() {
        let served = served(PATIENT).await;
        let idle = served.says(b"").await;
        let asked = served.says(ASK).await;
        served.handles(1).await;
        served.stopping.cancel();
        assert_eq!(until_closed(idle).await, "");
        served.answers.add_permits(1);
        let heard = until_closed(asked).await;
        assert!(heard.ends_with("done"), "{heard}");
        served.serving.await.unwrap();
        assert!(TcpStream::connect(served.listener).await.is_err(), "the port is closed");
    }
}
