//! Takes up what an earlier life of the master has left, and forgets what is old.

use super::inflight::Flight;
use super::{Desk, retry_after};
use chappe_store::{Done, StoreError, Work};
use std::time::Duration;
use tokio::time::sleep;

/// How many notifications are read at once.
const PAGE: u32 = 1000;
/// Commit ids and answers are kept for so long.
const KEEP: Duration = Duration::from_secs(24 * 3600);
/// Between two times that what is older is looked for.
const PRUNE: Duration = Duration::from_secs(60);

impl Desk {
    /// Starts to read what is not settled; dispatching begins when all of it is known, so that nothing new overtakes
    /// it.
    pub(super) fn recover(&self) {
        let desk = self.clone();
        self.0.node.spawn(async move {
            desk.read_clock().await;
            if !desk.read_unsettled().await {
                return;
            }
            let (sent, decided) = desk.0.table.borrow().counts();
            if sent + decided > 0 {
                tracing::info!(sent, decided, "notifications are taken up again");
            }
            desk.see_deadlines();
            desk.publish();
            desk.loaded();
            desk.prune().await;
        });
    }

    /// False when the store was closed.
    async fn read_unsettled(&self) -> bool {
        let (mut after, mut failures) = (0, 0);
        loop {
            let page = self.0.store.unsettled(after, PAGE).await;
            self.note(&page);
            match page {
                Ok(page) => {
                    failures = 0;
                    let Some(last) = page.last() else { return true };
                    after = last.order;
                    let mut table = self.0.table.borrow_mut();
                    for found in page {
                        let id = found.id;
                        table.insert(id, Flight::stored(found, self.now()));
                    }
                }
                Err(StoreError::Closed) => return false,
                Err(error) => {
                    tracing::warn!(%error, "what is not settled cannot be read yet");
                    sleep(retry_after(failures)).await;
                    failures += 1;
                }
            }
        }
    }

    async fn read_clock(&self) {
        let mut failures = 0;
        loop {
            match self.0.store.read(|store| store.now_ms()).await {
                Ok(now_ms) => return self.see_clock(now_ms),
                Err(StoreError::Closed) => return,
                Err(_) => sleep(retry_after(failures)).await,
            }
            failures += 1;
        }
    }

    async fn prune(&self) {
        let older_than_ms = u64::try_from(KEEP.as_millis()).unwrap_or(u64::MAX);
        loop {
            sleep(PRUNE).await;
            // A clock that was set forward while nothing was committed is noticed here.
            self.read_clock().await;
            loop {
                let pruned = self.0.store.work(Work::Prune { older_than_ms }).await;
                self.note(&pruned);
                match pruned {
                    Ok(Ok(Done::Pruned(count))) if count > 0 => {
                        self.0.node.stats().count_many("pruned", count);
                    }
                    Err(StoreError::Closed) => return,
                    _ => break,
                }
            }
            self.publish();
        }
    }
}
