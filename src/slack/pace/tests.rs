//! The pace in time that is not real.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use super::*;

/// Slack as we know it: so many a minute, and a hundred at once after a quiet time.
struct Bucket {
    per_second: f64,
    left: f64,
    at: Instant,
}

impl Bucket {
    const HOLDS: f64 = 100.0;

    fn new(per_minute: u32) -> Self {
        Self { per_second: f64::from(per_minute) / 60.0, left: Self::HOLDS, at: Instant::now() }
    }

    /// Takes a call, or says how many seconds to wait.
    fn take(&mut self) -> Result<(), u64> {
        let now = Instant::now();
        let more = (now - self.at).as_secs_f64() * self.per_second;
        (self.left, self.at) = ((self.left + more).min(Self::HOLDS), now);
        if self.left < 1.0 {
            let wait = Duration::from_secs_f64((1.0 - self.left) / self.per_second);
            return Err(wait.as_secs() + 1);
        }
        self.left -= 1.0;
        Ok(())
    }
}

/// What came of a rush.
#[derive(Debug)]
struct Drained {
    took: Duration,
    refused: u32,
}

/// Sends `count` messages, each to somebody else, as fast as the pace lets 32 senders.
async fn drain(pace: Pace, count: u32, per_minute: u32, latency: Duration) -> Drained {
    let began = Instant::now();
    let slack = Rc::new(RefCell::new(Bucket::new(per_minute)));
    let (pace, next, refused) = (Rc::new(pace), Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
    let sender = || {
        let (pace, slack) = (Rc::clone(&pace), Rc::clone(&slack));
        let (next, refused) = (Rc::clone(&next), Rc::clone(&refused));
        async move {
            while next.get() < count {
                let number = next.replace(next.get() + 1);
                let channel = format!("D{number}");
                loop {
                    let Ok(pass) = pace.wait(POST, Some(&channel), Lane::Questions).await else {
                        continue;
                    };
                    tokio::time::sleep(latency / 2).await;
                    let answer = slack.borrow_mut().take();
                    tokio::time::sleep(latency / 2).await;
                    match answer {
                        Ok(()) => break pace.went(pass),
                        Err(after) => {
                            refused.set(refused.get() + 1);
                            pace.refused(pass, after);
                        }
                    }
                }
            }
        }
    };
    let senders = futures_util::future::join_all((0..32).map(|_| sender()));
    senders.await;
    Drained { took: began.elapsed(), refused: refused.get() }
}

#[tokio::test(start_paused = true)]
async fn f41_ten_thousand_messages_drain_as_fast_as_any_limit_lets_them() {
    const COUNT: u32 = 10_000;
    for per_minute in [200, 300, 600, 1000] {
        let drained = drain(Pace::slack(), COUNT, per_minute, Duration::from_millis(200)).await;
        let ideal = Duration::from_mins(1) * COUNT / per_minute;
        assert!(drained.took <= ideal.mul_f64(1.05), "{per_minute} a minute: {drained:?}");
        assert!(drained.refused <= COUNT / 50, "{per_minute} a minute: {drained:?}");
        // It does measure: nobody is faster than the limit and what it lets through at once.
        let least = Duration::from_mins(1) * (COUNT - 200) / per_minute;
        assert!(drained.took >= least, "{per_minute} a minute: {drained:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_learnt_makes_the_next_rush_as_fast_from_the_start() {
    let latency = Duration::from_millis(200);
    let pace = Pace::slack();
    pace.recall([(POST.to_owned(), 1000.0)]);
    let (fresh, known) =
        (drain(Pace::slack(), 1000, 1000, latency).await, drain(pace, 1000, 1000, latency).await);
    assert!(known.took.as_secs_f64() < 0.8 * fresh.took.as_secs_f64(), "{known:?} {fresh:?}");
}

/// What was learnt, to a whole number.
fn learnt(pace: &Pace) -> Vec<String> {
    let rates = pace.learnt().into_iter();
    rates.map(|(method, per_minute)| format!("{method} {per_minute:.0}")).collect()
}

/// When calls of a method leave that all come at once, in milliseconds.
async fn moments(calls: &[(&'static str, &str)]) -> Vec<u128> {
    let (pace, began) = (Pace::slack(), Instant::now());
    let left = futures_util::future::join_all(calls.iter().map(|(method, channel)| {
        let turn = pace.wait(method, Some(channel), Lane::Questions);
        async move {
            turn.await.unwrap();
            began.elapsed().as_millis()
        }
    }));
    left.await
}

#[tokio::test(start_paused = true)]
async fn a_conversation_gets_a_message_a_second() {
    let post = (POST, "D1");
    assert_eq!(moments(&[post, post, post]).await, [0, 1100, 2200]);
}

#[tokio::test(start_paused = true)]
async fn a_workspace_gets_four_messages_at_once_and_then_five_a_second() {
    let names: Vec<String> = (0..8).map(|n| format!("D{n}")).collect();
    let calls: Vec<_> = names.iter().map(|name| (POST, &**name)).collect();
    assert_eq!(moments(&calls).await, [0, 0, 0, 0, 200, 400, 600, 800]);
}

#[tokio::test(start_paused = true)]
async fn a_method_gets_half_its_minute_at_once() {
    let at = moments(&[("chat.update", "D1"); 27]).await;
    assert_eq!((at[24], at[25], at[26]), (0, 1200, 2400));
}

#[tokio::test(start_paused = true)]
async fn a_busy_conversation_holds_up_nobody_else() {
    let calls = [(POST, "D1"), (POST, "D1"), (POST, "D2"), (POST, "D3")];
    assert_eq!(moments(&calls).await, [0, 1100, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn people_go_before_questions_and_questions_before_the_rest_but_none_for_ever() {
    let pace = Rc::new(Pace::slack());
    let left = Rc::new(RefCell::new(Vec::new()));
    let local = tokio::task::LocalSet::new();
    let call = |name: String, lane: Lane, after: u64| {
        let (pace, left) = (Rc::clone(&pace), Rc::clone(&left));
        local.spawn_local(async move {
            tokio::time::sleep(Duration::from_millis(after)).await;
            pace.wait("users.info", None, lane).await.unwrap();
            left.borrow_mut().push(name);
        });
    };
    // The bucket is emptied first.
    for _ in 0..50 {
        call("early".into(), Lane::Background, 0);
    }
    call("digest".into(), Lane::Background, 1);
    for number in 0..30 {
        call(format!("question {number}"), Lane::Questions, 2 + number * 600);
    }
    call("person".into(), Lane::People, 60);
    local.await;
    let left = left.borrow();
    let place = |name: &str| left.iter().position(|known| known == name).unwrap() - 50;
    assert_eq!((place("person"), place("question 0")), (0, 1));
    assert!((10..20).contains(&place("digest")), "{left:?}");
}

#[tokio::test(start_paused = true)]
async fn f08_a_429_closes_its_method_for_as_long_as_told_and_a_little_and_slows_it_down_once() {
    let pace = Pace::slack();
    let mut passes = Vec::new();
    for number in 0..3 {
        let channel = format!("D{number}");
        passes.push(pace.wait(POST, Some(&channel), Lane::Questions).await.unwrap());
    }
    tokio::time::advance(Duration::from_millis(100)).await;
    for pass in passes {
        pace.refused(pass, 20);
    }
    assert_eq!(learnt(&pace), ["chat.postMessage 210"], "seven tenths, once for the three of them");
    let began = Instant::now();
    assert!(pace.wait("chat.update", None, Lane::Background).await.is_ok());
    assert_eq!(began.elapsed(), Duration::ZERO, "others go on");
    let first = pace.wait(POST, Some("D8"), Lane::Questions).await.unwrap();
    let waited = began.elapsed();
    assert!((Duration::from_millis(20_500)..Duration::from_secs(22)).contains(&waited));
    pace.wait(POST, Some("D9"), Lane::Questions).await.unwrap();
    let apart = began.elapsed().saturating_sub(waited).as_millis();
    assert!((280..=290).contains(&apart), "no burst after a refusal: {apart} ms");
    pace.refused(first, 1);
    assert_eq!(learnt(&pace), ["chat.postMessage 147"], "the next incident");
}

#[tokio::test(start_paused = true)]
async fn who_would_wait_too_long_is_told_to_come_back() {
    let pace = Pace::slack();
    pace.close(POST, 90);
    let turn = pace.wait(POST, Some("D1"), Lane::Questions).await;
    assert_eq!(turn.unwrap_err(), SendError::Later { after: 91 });
    tokio::time::advance(Duration::from_secs(45)).await;
    assert!(pace.wait(POST, Some("D1"), Lane::Questions).await.is_ok(), "45 s are not too long");
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_is_sent_away_when_the_wait_becomes_too_long() {
    let pace = Pace::slack();
    for _ in 0..25 {
        pace.wait("chat.update", None, Lane::Background).await.unwrap();
    }
    let waiting = pace.wait("chat.update", None, Lane::Background);
    let closing = async {
        tokio::task::yield_now().await;
        pace.close("chat.update", 300);
    };
    let (waited, ()) = tokio::join!(waiting, closing);
    assert_eq!(waited.unwrap_err(), SendError::Later { after: 301 });
}

#[tokio::test(start_paused = true)]
async fn a_modal_never_waits() {
    let pace = Pace::slack();
    let began = Instant::now();
    for _ in 0..500 {
        assert!(pace.wait("views.open", None, Lane::People).await.is_ok());
    }
    assert_eq!(began.elapsed(), Duration::ZERO);
    pace.close("views.open", 30);
    let turn = pace.wait("views.open", None, Lane::People).await;
    assert_eq!(turn.unwrap_err(), SendError::Later { after: 31 });
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_who_need_not() {
    let pace = Pace::unlimited();
    pace.close(POST, 600);
    for _ in 0..100 {
        assert!(pace.wait(POST, Some("D1"), Lane::Questions).await.is_ok());
    }
    assert!(learnt(&pace).is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_was_learnt_is_remembered_and_idle_times_teach_nothing() {
    let pace = Pace::slack();
    for number in 0..500 {
        let channel = format!("D{number}");
        let pass = pace.wait(POST, Some(&channel), Lane::Questions).await.unwrap();
        pace.went(pass);
        tokio::time::advance(Duration::from_secs(5)).await;
    }
    assert!(learnt(&pace).is_empty(), "nobody had to wait");
    pace.recall([(POST.to_owned(), 1234.0), ("chat.update".to_owned(), 0.0)]);
    assert_eq!(learnt(&pace), ["chat.postMessage 1234"], "only what was used is known");
    pace.wait("chat.update", None, Lane::Background).await.unwrap();
    assert_eq!(learnt(&pace)[1], "chat.update 5", "never quite nothing");
    let limited = Pace::slack().at_most(Some(240));
    limited.recall([(POST.to_owned(), 1234.0)]);
    limited.wait(POST, None, Lane::Questions).await.unwrap();
    assert_eq!(learnt(&limited), ["chat.postMessage 240"], "an administrator's word counts");
}

#[tokio::test(start_paused = true)]
async fn at_the_end_only_people_are_let_through() {
    let pace = Pace::slack();
    pace.stop();
    assert!(pace.wait(POST, Some("D1"), Lane::Questions).await.is_err());
    assert!(pace.wait("views.open", None, Lane::People).await.is_ok());
}
