//! Where the master keeps what must survive: said by deploy.json or the environment, opened before the node runs.

use crate::exit::CommandError;
use chappe_deploy::{Deploy, DeployErrors, STORE_FILE_VARIABLE, STORE_VARIABLE, StoreChoice, StorePlace};
use chappe_store::{LazyStore, Options, Store, StoreClient, StoreError, on_thread};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::time::Duration;

/// How often a store that another master has is tried: one that was killed may leave it behind for a moment.
const TRIES: u32 = 20;
const PAUSE: Duration = Duration::from_millis(250);
/// How long a store may take to close.
const CLOSE: Duration = Duration::from_secs(2);

/// The master's store, on a thread of its own. One that is named, or is there, is opened now; else it is when something is
/// to be kept.
///
/// # Errors
/// [`CommandError::Store`]: it cannot be used, and will not be by itself. [`CommandError::Usage`]: the variable is wrong.
pub(crate) fn open(deploy: &Deploy) -> Result<StoreClient, CommandError> {
    let choice = choice(deploy)?;
    let place = choice.place.with_secrets();
    let is_shared = matches!(choice.place, StorePlace::Postgres(_));
    let options = Options { is_shared, ..options(deploy) };
    let mut store = LazyStore::new(&place, !choice.is_named, options).map_err(CommandError::Store)?;
    if choice.is_named || store.is_there() {
        match open_in_time(&mut store) {
            Ok(()) => tracing::info!(kind = store.name(), place = %choice.place, "the store is open"),
            // It may come back, and then it is opened.
            Err(error @ (StoreError::StoreUnavailable(_) | StoreError::AnswerLost(_))) => {
                tracing::error!(place = %choice.place, %error, "degraded: the store is not to be had yet");
            }
            Err(error) => return Err(CommandError::Store(error)),
        }
    }
    let (client, _) = on_thread(Box::new(store)).map_err(CommandError::io("no thread for the store"))?;
    Ok(client)
}

/// Whether two masters have a database between them.
///
/// # Errors
/// That they have not.
pub(crate) fn check_masters(deploy: &Deploy) -> Result<(), DeployErrors> {
    // What is wrong with the variables is told where the store is opened.
    choice(deploy).map_or(Ok(()), |choice| deploy.check_masters(&choice.place))
}

/// Where the store is, as deploy.json or the environment says.
///
/// # Errors
/// [`CommandError::Usage`]: the variable is wrong.
pub(crate) fn choice(deploy: &Deploy) -> Result<StoreChoice, CommandError> {
    let set = |name| std::env::var(name).ok().filter(|value: &String| !value.trim().is_empty());
    let (name, text) = match (set(STORE_VARIABLE), set(STORE_FILE_VARIABLE)) {
        (None, Some(file)) => {
            let text = std::fs::read_to_string(&file);
            let text =
                text.map_err(|error| CommandError::Usage(format!("{STORE_FILE_VARIABLE}: {file}: {error}")))?;
            if text.trim().is_empty() {
                return Err(CommandError::Usage(format!("{STORE_FILE_VARIABLE}: {file}: nothing is in it")));
            }
            (STORE_FILE_VARIABLE, Some(text))
        }
        (text, _) => (STORE_VARIABLE, text),
    };
    let choice = deploy.store(text.as_deref());
    choice.map_err(|problem| CommandError::Usage(format!("{name}: {problem}")))
}

/// How the store of that cluster is opened.
pub(crate) fn options(deploy: &Deploy) -> Options {
    Options { cluster_id: deploy.cluster_id.clone(), ..Options::new(&deploy.cluster) }
}

fn open_in_time(store: &mut LazyStore) -> Result<(), StoreError> {
    for _ in 1..TRIES {
        match store.open_now() {
            Err(StoreError::InUse { .. }) => std::thread::sleep(PAUSE),
            result => return result,
        }
    }
    store.open_now()
}

/// Closes the store of a master that has ended, so that all of it is in its file, and another master may lead at once.
pub(crate) fn close(store: &StoreClient) {
    let closed = store.read(|store| {
        if let Err(error) = store.resign() {
            tracing::warn!(%error, "the lease could not be given back: another master waits for its end");
        }
        store.close();
        Ok(())
    });
    if let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_time().build() {
        // One that hangs is left as it is: what was acknowledged is on the disk.
        let _ = runtime.block_on(async { tokio::time::timeout(CLOSE, closed).await });
    }
}

/// Makes the store's directory, open to this user alone; nothing happens when it is there.
///
/// # Errors
/// What the system says.
pub(crate) fn make_dir(dir: &Path) -> std::io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)
}
