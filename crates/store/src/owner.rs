//! Whose a store is: what its table `meta` says of its cluster, and what becomes of that at an opening.

use crate::{Options, StoreError};

/// The rows of `meta` that name the owner: its name, and its `cluster_id` where deploy.json has one.
pub(crate) const KEYS: [&str; 2] = ["cluster", "cluster_id"];

/// What is to be written at an opening, when `found` is what [`KEYS`] say: all of them for a new store or one that is
/// taken over on purpose, none for our own.
///
/// # Errors
/// [`StoreError::OtherCluster`].
pub(crate) fn settle(
    found: [Option<String>; 2],
    options: &Options,
    place: impl FnOnce() -> String,
) -> Result<Vec<(&'static str, String)>, StoreError> {
    let ours = [Some(options.cluster.clone()), options.cluster_id.clone()];
    let differs =
        found.iter().zip(&ours).any(|(found, ours)| found.is_some() && ours.is_some() && found != ours);
    let name = found[0].clone().unwrap_or_default();
    if differs && options.adopts.as_ref() != Some(&name) {
        return Err(StoreError::OtherCluster { place: place(), found: told(&found), ours: told(&ours) });
    }
    let rows = KEYS.into_iter().zip(found.into_iter().zip(ours));
    Ok(rows
        .filter(|(_, (found, ours))| found != ours)
        .filter_map(|(key, (_, ours))| Some((key, ours?)))
        .collect())
}

fn told([name, id]: &[Option<String>; 2]) -> String {
    let name = name.as_deref().unwrap_or_default();
    id.as_ref().map_or_else(|| name.to_owned(), |id| format!("{name} (cluster_id {id})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settled(found: [Option<&str>; 2], id: Option<&str>, adopts: Option<&str>) -> Result<usize, String> {
        let options = Options {
            cluster_id: id.map(str::to_owned),
            adopts: adopts.map(str::to_owned),
            ..Options::new("arena")
        };
        let found = found.map(|found| found.map(str::to_owned));
        let rows = settle(found, &options, || "here".to_owned());
        rows.map(|rows| rows.len()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_copy_of_a_deploy_json_with_an_id_of_its_own_would_play_on_the_others_records() {
        assert_eq!(settled([None, None], Some("eu"), None), Ok(2));
        assert_eq!(settled([Some("arena"), None], Some("eu"), None), Ok(1));
        assert_eq!(settled([Some("arena"), Some("eu")], None, None), Ok(0));
        let text = settled([Some("arena"), Some("eu")], Some("us"), None).unwrap_err();
        assert!(text.contains("arena (cluster_id eu)") && text.contains("arena (cluster_id us)"), "{text}");
        assert!(text.contains("chappe store adopt"), "{text}");
    }

    #[test]
    fn a_store_would_be_taken_over_from_whom_nobody_named() {
        assert!(settled([Some("old"), None], None, Some("other")).is_err());
        assert_eq!(settled([Some("old"), None], None, Some("old")), Ok(1));
        assert_eq!(settled([Some("arena"), Some("eu")], Some("us"), Some("arena")), Ok(1));
    }
}
