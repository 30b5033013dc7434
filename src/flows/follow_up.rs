//! After the acknowledgement: forms are filled, replies whispered, pages turned.

use std::sync::Arc;

use anyhow::Context;
use jiff::Timestamp;
use tokio::task::JoinHandle;

use super::respond::{Filling, Then, says};
use super::{Bot, command, form, history, log};
use crate::ports::inbound::{FormValues, ReplyTo};
use crate::ports::outbound::{Modal, Piece, Span, Whisper};
use crate::ports::{SendError, ViewId};

/// Does what follows an acknowledgement. `opening` is the modal that was opened meanwhile.
///
/// # Errors
/// If the store fails; what Slack refuses is told to the person where possible.
pub async fn run(
    bot: &Bot,
    then: Then,
    opening: Option<JoinHandle<Result<ViewId, SendError>>>,
    now: Timestamp,
) -> anyhow::Result<()> {
    match then {
        Then::Nothing => {}
        Then::Fill { filling, reply_to } => {
            fill(bot, filling, reply_to, opening).await?;
        }
        Then::Reword { debrief, view, values } => {
            let modal = modal_for(bot, Filling::Answer(debrief), values).await?;
            told(bot.messenger.replace(&view, &modal).await, "word a form anew");
        }
        Then::Whisper { to, whisper } => {
            close_unfilled(bot, opening, &whisper).await;
            if let Some(to) = to {
                told(bot.messenger.whisper(&to, &whisper).await, "whisper");
            }
        }
        Then::Reply { to, reader, command, request } => {
            let whisper = command::reply(bot, reader, command, request, now).await?;
            told(bot.messenger.whisper(&to, &whisper).await, "answer a command");
        }
        Then::HistoryPage { to, reader, query, before, request } => {
            let mut page = history::page(bot, reader, &query, before, request, now).await?;
            page.replaces = true;
            told(bot.messenger.whisper(&to, &page).await, "turn a page");
        }
    }
    Ok(())
}

async fn fill(
    bot: &Bot,
    filling: Filling,
    reply_to: Option<ReplyTo>,
    opening: Option<JoinHandle<Result<ViewId, SendError>>>,
) -> anyhow::Result<()> {
    let modal = modal_for(bot, filling, FormValues::new()).await?;
    let opened = match opening {
        Some(opening) => opening.await.context("open a modal")?,
        None => return Ok(()),
    };
    let (error, sorry) = match opened {
        Ok(view) => match bot.messenger.replace(&view, &modal).await {
            Ok(()) => return Ok(()),
            // They may just have closed it: only a busy Slack is worth a word.
            Err(error) => (error, None),
        },
        Err(error) => (error, Some("That took too long. Please press again.")),
    };
    tracing::warn!(%error, "a form did not open");
    let busy = "Slack is busy. Please open it again in a moment.";
    let is_busy = matches!(error, SendError::Later { .. });
    let sorry = if is_busy { Some(busy) } else { sorry };
    if let (Some(to), Some(sorry)) = (reply_to, sorry) {
        told(bot.messenger.whisper(&to, &says(sorry)).await, "apologise");
    }
    Ok(())
}

async fn modal_for(bot: &Bot, filling: Filling, typed: FormValues) -> anyhow::Result<Modal> {
    let rules = Arc::clone(&bot.rules);
    let sorry = |text: &str| Modal::Sorry { title: "Debrief".into(), text: text.into() };
    bot.store
        .read(move |tx| match filling {
            Filling::Log => Ok(log::log_form()),
            Filling::Answer(id) | Filling::Correct(id) => {
                let Some(debrief) = tx.debrief(id)? else {
                    return Ok(sorry("It is gone."));
                };
                let Some(rep) = tx.person(debrief.rep)? else {
                    return Ok(sorry("It is gone."));
                };
                if let Filling::Correct(_) = filling {
                    return Ok(log::correct_form(id, &debrief.account, debrief.kind));
                }
                if !form::can_answer(&debrief) {
                    return Ok(sorry("That meeting was cancelled or moved. I'll ask after it."));
                }
                form::answer_form(tx, &rules, &debrief, &rep, &typed)
            }
        })
        .await
}

/// A loading modal that nothing will fill says why.
async fn close_unfilled(
    bot: &Bot,
    opening: Option<JoinHandle<Result<ViewId, SendError>>>,
    whisper: &Whisper,
) {
    let Some(opening) = opening else { return };
    let Ok(Ok(view)) = opening.await else { return };
    let text: String = whisper.body.iter().filter_map(piece_text).collect::<Vec<_>>().join("\n");
    let modal = Modal::Sorry { title: "Debrief".into(), text };
    told(bot.messenger.replace(&view, &modal).await, "explain an empty form");
}

fn piece_text(piece: &Piece) -> Option<String> {
    match piece {
        Piece::Text(spans) => Some(
            spans
                .iter()
                .map(|span| match span {
                    Span::Plain(text) | Span::Bold(text) | Span::Code(text) => text.as_str(),
                })
                .collect(),
        ),
        _ => None,
    }
}

fn told(result: Result<(), SendError>, what: &str) {
    if let Err(error) = result {
        tracing::warn!(%error, what, "Slack did not take a reply");
    }
}
