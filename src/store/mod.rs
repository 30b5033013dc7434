//! SQLite: everything the bot remembers, and its queues. The only module with SQL.
//!
//! [`Store::transact`] takes a synchronous closure, so no transaction can span a network call. The
//! store is never asked for the time; it is given `now`. Methods on [`Tx`] read like sentences, one
//! file for each thing they are about.

pub mod answers;
pub mod audit;
pub mod backup;
pub mod checksum;
pub mod counts;
pub mod debriefs;
mod desk;
pub mod digests;
pub mod dossier;
pub mod erasure;
pub mod feeds;
pub mod figures;
pub mod history;
pub mod inbox;
pub mod letters;
pub mod meetings;
pub mod outbox;
pub mod people;
pub mod place;
pub mod plans;
pub mod rates;
mod readers;
mod rescue;
pub mod restore;
pub mod retention;
mod roster_changes;
pub mod schema;
pub mod search;
mod sidecar;
pub mod sightings;
pub mod traces;
pub mod trouble;
pub mod upkeep;
mod wal;
mod writer;

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context;
use jiff::Timestamp;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};
use tokio::sync::oneshot;

use self::desk::{Desk, Job};
use self::figures::{Figures, Meters};
use self::place::{LastStop, Missing, Place};
use self::readers::Readers;
use self::trouble::Failure;
use self::writer::{Lane, Writer};

/// How long a look may take while somebody waits for it.
const LOOK: Duration = Duration::from_millis(500);

/// The open store. Dropping it finishes what is queued and closes the file.
pub struct Store {
    hands: Hands,
    meters: Arc<Meters>,
    failure: Failure,
    place: Place,
}

/// Who does the work.
enum Hands {
    /// A writing thread and connections to read with.
    Threads { writer: Writer, readers: Readers, checking: Checking },
    /// The caller itself, with the one connection; `None` once closed.
    Inline(Mutex<Option<Desk>>),
}

/// A transaction, or a consistent view for reading.
pub struct Tx<'c>(&'c Connection);

impl Store {
    /// Opens the store, creating or migrating it, and claims it for this process.
    ///
    /// # Errors
    /// If another process holds it; or [`trouble::Unusable`] if it is damaged, missing, somebody
    /// else's or from a newer version. The message says what to do.
    pub fn open(path: &Path, now: Timestamp) -> anyhow::Result<Self> {
        Self::open_or(path, Missing::Create, now)
    }

    /// The same, with a choice of what to do if there is no store.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open_or(path: &Path, missing: Missing, now: Timestamp) -> anyhow::Result<Self> {
        let (place, desk, meters, failure) = Self::claim(path, missing, now)?;
        let readers = Readers::open(path, failure.clone())?;
        let writer = Writer::start(desk, Arc::clone(&meters), failure.clone())?;
        let checking = Checking::start(&place, &failure)?;
        Ok(Self { hands: Hands::Threads { writer, readers, checking }, meters, failure, place })
    }

    /// Opens the store so that all work is done at once, on the caller's thread: for simulations,
    /// whose clock runs away while a thread of ours is at work. Looks have no deadline.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open_inline(path: &Path, now: Timestamp) -> anyhow::Result<Self> {
        let (place, desk, meters, failure) = Self::claim(path, Missing::Create, now)?;
        Ok(Self { hands: Hands::Inline(Mutex::new(Some(desk))), meters, failure, place })
    }

    fn claim(
        path: &Path,
        missing: Missing,
        now: Timestamp,
    ) -> anyhow::Result<(Place, Desk, Arc<Meters>, Failure)> {
        let place = Place::claim(path, missing, now)?;
        let connection = schema::open(&place, now)?;
        let (meters, failure) = (Arc::new(Meters::default()), Failure::none_yet());
        let desk = Desk::new(connection, Arc::clone(&meters), failure.clone())?;
        Ok((place, desk, meters, failure))
    }

    /// Finishes what is queued, closes the file and lets another process have it, whoever still
    /// holds on to this store. Blocks meanwhile; everything asked of it later fails.
    pub fn close(&self) {
        match &self.hands {
            Hands::Threads { writer, readers, checking } => {
                checking.stop();
                readers.close();
                writer.close();
            }
            Hands::Inline(desk) => {
                if let Some(desk) = locked(desk).take() {
                    desk.finish();
                }
            }
        }
        let failed = self.failure.happened();
        self.place.release(if failed { LastStop::Unclean } else { LastStop::InOrder });
    }

    /// Runs `work` in a transaction and returns once it is on disk; an error rolls it back. For what
    /// somebody waits for: it goes before everything in [`Store::transact_behind`]. If another
    /// transaction fails that was to be written together with it, it is run once more.
    ///
    /// # Errors
    /// Those of `work`; and if it could not be saved, in which case nothing was.
    pub async fn transact<T, F>(&self, work: F) -> anyhow::Result<T>
    where
        T: Send + 'static,
        F: Fn(&Tx<'_>) -> anyhow::Result<T> + Send + 'static,
    {
        self.write(Lane::People, desk::repeatable(work)).await
    }

    /// The same for the background, run once. Keep it short all the same, some milliseconds: whoever
    /// comes meanwhile waits for it.
    ///
    /// # Errors
    /// As [`Store::transact`].
    pub async fn transact_behind<T, F>(&self, work: F) -> anyhow::Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Tx<'_>) -> anyhow::Result<T> + Send + 'static,
    {
        self.write(Lane::Behind, desk::once(work)).await
    }

    async fn write<T>(
        &self,
        lane: Lane,
        (job, mut done): (Job, oneshot::Receiver<anyhow::Result<T>>),
    ) -> anyhow::Result<T> {
        match &self.hands {
            Hands::Threads { writer, .. } => {
                writer.add(lane, job)?;
                done.await.context("the store's writing thread has ended")?
            }
            Hands::Inline(desk) => {
                let mut job = Some(job);
                let desk = locked(desk);
                desk.as_ref().context("the store is closed")?.commit_together(|| job.take());
                done.try_recv().context("a job was not done")?
            }
        }
    }

    /// Runs `work` on a consistent, read-only view.
    ///
    /// # Errors
    /// Those of `work`, and [`trouble::TooSlow`] if it takes longer than half a second.
    pub async fn read<T, F>(&self, work: F) -> anyhow::Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Tx<'_>) -> anyhow::Result<T> + Send + 'static,
    {
        self.read_within(LOOK, work).await
    }

    /// The same for what may take longer, an export say.
    ///
    /// # Errors
    /// Those of `work`, and [`trouble::TooSlow`].
    pub async fn read_within<T, F>(&self, limit: Duration, work: F) -> anyhow::Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Tx<'_>) -> anyhow::Result<T> + Send + 'static,
    {
        match &self.hands {
            Hands::Threads { readers, .. } => readers.read(limit, work).await,
            Hands::Inline(desk) => locked(desk).as_ref().context("the store is closed")?.read(work),
        }
    }

    /// What the store counts about its work.
    pub fn figures(&self) -> Figures {
        match &self.hands {
            Hands::Threads { writer, .. } => writer.figures(),
            Hands::Inline(_) => self.meters.read(0, 0),
        }
    }

    /// Waits until the store has failed for good, and says why: the disk failed, the file is
    /// damaged or gone, the writing thread has died. The process should end then.
    pub async fn failed(&self) -> String {
        self.failure.wait().await
    }

    /// To be called now and then: ends a store whose file was deleted or replaced, as what is
    /// written from then on would be lost.
    pub fn look_after(&self) {
        if let Err(why) = self.place.is_still_there() {
            self.failure.declare(&why);
        }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.close();
    }
}

/// Reads a large store through while it is in use already.
struct Checking(Option<rusqlite::InterruptHandle>);

impl Checking {
    fn start(place: &Place, failure: &Failure) -> anyhow::Result<Self> {
        if !schema::is_check_owed(place) {
            return Ok(Self(None));
        }
        let connection = readers::connect(place.path())?;
        let handle = connection.get_interrupt_handle();
        let failure = failure.clone();
        std::thread::Builder::new()
            .name("store-check".into())
            .spawn(move || match schema::check(&connection) {
                Ok(()) => tracing::info!("the store was read through and is sound"),
                Err(found) if found == "interrupted" => {}
                Err(found) => failure.declare(&format!("the file is damaged: {found}")),
            })
            .context("start the store's check")?;
        Ok(Self(Some(handle)))
    }

    fn stop(&self) {
        if let Some(handle) = &self.0 {
            handle.interrupt();
        }
    }
}

/// Whether a bot could be started on the store at `path`, which is there.
///
/// # Errors
/// Those of [`Store::open`], in the same words; and if the store is to be migrated first.
pub fn expect_startable(path: &Path) -> anyhow::Result<()> {
    schema::expect_startable(path)
}

/// What is looked at by commands that must not disturb a running bot.
///
/// # Errors
/// If there is no store yet, or it is not one of ours.
pub fn peek<T>(path: &Path, work: impl FnOnce(&Tx<'_>) -> anyhow::Result<T>) -> anyhow::Result<T> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)
        .with_context(|| format!("open the store {}", path.display()))?;
    let settled = schema::settle(&connection).context("apply the store's settings");
    settled
        .and_then(|()| schema::expect_current(&connection, path))
        .map_err(|error| schema::blame(path, error))?;
    work(&Tx(&connection))
}

/// One transaction by a command, while the bot runs or not: it takes no lock on the store, and the
/// bot's own writing waits for it, so `work` must be short.
///
/// # Errors
/// If there is no store yet, it is not one of ours or not current, or it stays busy.
pub fn visit<T>(path: &Path, work: impl FnOnce(&Tx<'_>) -> anyhow::Result<T>) -> anyhow::Result<T> {
    let mut connection = open_to_write(path)?;
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .context("begin writing; is the store busy?")?;
    let result = work(&Tx(&transaction))?;
    transaction.commit().context("commit")?;
    Ok(result)
}

/// Whether a bot is running on the store.
pub fn is_in_use(path: &Path) -> bool {
    place::is_held(path)
}

fn open_to_write(path: &Path) -> anyhow::Result<Connection> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)
        .with_context(|| format!("open the store {}", path.display()))?;
    schema::expect_current(&connection, path)?;
    schema::settle_writer(&connection)?;
    Ok(connection)
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Seconds, as stored.
fn seconds(at: Timestamp) -> i64 {
    at.as_second()
}

/// A stored moment. What the store holds was a timestamp once, so it always is one.
fn moment(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap_or(Timestamp::UNIX_EPOCH)
}
